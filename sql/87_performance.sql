-- How each account did since its first day: time-weighted, so that payments neither help nor hurt, and money-weighted.
-- currency: Base currency of the account.
-- first_date: First day of the account.
-- last_date: Newest day on which it can be valued.
-- sessions: Number of daily returns.
-- total_return: Return over all days.
-- annual_return: Return per year of 252 sessions; null below 60 sessions.
-- money_weighted_return: Return per year on the money that was in the account, with its payments; see money_weighted_returns. Null below 60 sessions.
-- annual_volatility: Standard deviation of the daily returns, per year.
-- max_drawdown: Largest fall below a peak, as a share; 0 or negative.
-- equity: Value on that day, in the base currency.
-- deposits: What was paid in, less what was taken out.
-- realised_gain: Sum of realised gains, in the base currency.
-- dividends: Dividends received, less those paid.
-- commissions: Commissions of all trades, which the gains already bear, in the base currency.
SELECT
    d.account,
    any_value(d.currency) AS currency,
    min(d.date) AS first_date,
    max(d.date) AS last_date,
    count(d.daily_return) AS sessions,
    arg_max(d.growth, d.date) - 1 AS total_return,
    CASE WHEN count(d.daily_return) >= 60 AND arg_max(d.growth, d.date) > 0
        THEN arg_max(d.growth, d.date) ^ (252 / count(d.daily_return)) - 1 END AS annual_return,
    CASE WHEN count(d.daily_return) >= 60 THEN any_value(m.money_weighted_return) END AS money_weighted_return,
    stddev_samp(d.daily_return) * sqrt(252) AS annual_volatility,
    min(d.drawdown) AS max_drawdown,
    arg_max(d.equity, d.date) AS equity,
    any_value(p.deposits) AS deposits,
    any_value(p.realised_gain) AS realised_gain,
    any_value(p.dividends) AS dividends,
    any_value(p.commissions) AS commissions
FROM drawdowns AS d
JOIN account_payments AS p ON p.account = d.account
LEFT JOIN money_weighted_returns AS m ON m.account = d.account
GROUP BY d.account;
