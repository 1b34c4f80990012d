-- What a year brought on the money that was in each account: its payments, at their days, and its value now.
-- first_date: Day of the first payment.
-- last_date: Newest day on which the account can be valued.
-- money_weighted_return: Internal rate of return per year of 365 days, like XIRR of spreadsheets; null if no rate makes the payments worth the value. If several rates do, that nearest to 0.
WITH RECURSIVE newest AS (
    SELECT account, max(date) AS last_date, arg_max(equity, date) AS equity
    FROM equity
    WHERE equity IS NOT NULL
    GROUP BY account
),
payments AS (
    SELECT e.account, e.date, -e.flow::DOUBLE AS amount
    FROM equity AS e
    JOIN newest AS n ON n.account = e.account AND e.date <= n.last_date
    WHERE e.flow <> 0
    UNION ALL
    SELECT account, last_date, equity::DOUBLE FROM newest
),
dated AS (
    SELECT
        account,
        min(date) AS first_date,
        max(date) AS last_date,
        list({'date': date, 'amount': amount} ORDER BY date, amount) AS payments
    FROM payments
    GROUP BY account
),
bounded AS (
    -- The rate is looked for by its logarithm g, with powers that floating-point numbers can hold.
    SELECT
        account,
        first_date,
        last_date,
        [{'years': (p.date - first_date) / 365.0, 'amount': p.amount} for p in payments] AS payments,
        least(25, 600 / greatest((last_date - first_date) / 365.0, 0.001)) AS bound
    FROM dated
),
tried AS (
    -- Deposits after withdrawals can have several rates: signs at 513 of them show between which there is one.
    SELECT
        account,
        payments,
        bound,
        place,
        sign(list_sum([p.amount * exp(-bound * place / 256 * p.years) for p in payments])) AS sign
    FROM (SELECT *, unnest(range(-256, 257)) AS place FROM bounded)
),
brackets AS (
    SELECT
        account,
        payments,
        bound * place / 256 AS low,
        bound * (place + 1) / 256 AS high,
        sign AS sign_low
    FROM (SELECT *, lead(sign) OVER (PARTITION BY account ORDER BY place) AS next_sign FROM tried)
    WHERE sign <> 0 AND next_sign <> sign
    QUALIFY row_number() OVER (PARTITION BY account ORDER BY abs(place), place) = 1
),
halved AS (
    SELECT account, payments, low, high, sign_low, 0 AS step FROM brackets
    UNION ALL
    SELECT
        account,
        payments,
        CASE WHEN sign(value) = sign_low THEN middle ELSE low END,
        CASE WHEN sign(value) = sign_low THEN high ELSE middle END,
        sign_low,
        step + 1
    FROM (
        SELECT *, list_sum([p.amount * exp(-middle * p.years) for p in payments]) AS value
        FROM (SELECT *, (low + high) / 2 AS middle FROM halved WHERE step < 64)
    )
)
SELECT d.account, d.first_date, d.last_date, exp((h.low + h.high) / 2) - 1 AS money_weighted_return
FROM dated AS d
LEFT JOIN halved AS h ON h.account = d.account AND h.step = 64;
