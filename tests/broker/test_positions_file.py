"""Files of positions as brokers in several countries write them, and tickets as spreadsheets save them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from pm.broker.positions_file import HeldPosition, read_positions
from pm.broker.ticket import read_fills
from pm.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

D = Decimal
SCHWAB = """"Positions for account Individual ...123 as of 09:45 AM ET, 2024/11/27"

"Symbol","Description","Qty (Quantity)","Price","Mkt Val (Market Value)","Cost Basis","Security Type",
"AAPL","APPLE INC","100","$230.10","$23,010.00","$12,000.00","Equity",
"Cash & Cash Investments","--","--","--","$28,500.12","--","Cash and Money Market",
"Account Total","","--","--","$51,510.12","$12,000.00","--",
"""
FIDELITY = """Account,Symbol,Description,Quantity,Price,Current Value,Cost Basis Total,Average Cost Basis,Type
Z1,SPAXX**,HELD IN MONEY MARKET,,,$1234.56,,,Cash,
Z1,AAPL,APPLE INC,10,$230.10,$2301.00,$1200.00,$120.00,Margin,
Z1,Pending Activity,,,,$-12.34,,,,

"The data and information in this spreadsheet is provided to you solely for your use and is not for distribution."
"""
STATEMENT = """Statement,Header,Field Name,Field Value
Statement,Data,BrokerName,Interactive Brokers
Cash Report,Header,Currency Summary,Currency,Total,Securities,Futures
Cash Report,Data,Ending Cash,Base Currency Summary,1500.5,1500.5,0
Cash Report,Data,Ending Cash,USD,1170.2,1170.2,0
Open Positions,Header,DataDiscriminator,Asset Category,Currency,Symbol,Quantity,Mult,Cost Price,Cost Basis,Close Price
Open Positions,Data,Summary,Stocks,USD,AAPL,100,1,120.5,12050,230
Open Positions,Data,Lot,Stocks,USD,AAPL,60,,110,6600,230
Open Positions,Data,Lot,Stocks,USD,AAPL,40,,136.25,5450,230
Open Positions,Data,Summary,Stocks,EUR,SAP,-10,1,98.1,-981,150
Open Positions,Total,,Stocks,USD,,,,,12050,
Open Positions,Data,Summary,Equity and Index Options,USD,AAPL 18DEC26 200 C,-1,100,5,-500,30
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price
Trades,Data,Order,Stocks,USD,MSFT,"2026-11-02, 09:30:00",50,400
"""


def held(
    ticker: str | None,
    shares: str,
    cost: str | None = None,
    currency: str | None = None,
    opened: date | None = None,
) -> HeldPosition:
    return HeldPosition(ticker, D(shares), None if cost is None else D(cost), currency, opened)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(SCHWAB, [held("AAPL", "100", "12000"), held(None, "28500.12")], id="Schwab"),
        pytest.param(FIDELITY, [held(None, "1234.56"), held("AAPL", "10", "1200")], id="Fidelity"),
        pytest.param(
            STATEMENT,
            [held(None, "1170.2", None, "USD"), held("AAPL", "100", "12050", "USD"), held("SAP", "-10", "-981", "EUR")],
            id="statement of Interactive Brokers",
        ),
        pytest.param(
            "Symbol;Bezeichnung;Stück;Einstandskurs;Währung;Kaufdatum\n"
            "AAPL;Apple Inc;10;123,45;USD;31.01.2020\nSAP.DE;SAP SE;1.250;98,10;EUR;01.02.2021\nSumme;;;;;\n",
            [
                held("AAPL", "10", "1234.5", "USD", date(2020, 1, 31)),
                held("SAP.DE", "1250", "122625", "EUR", date(2021, 2, 1)),
            ],
            id="German",
        ),
        pytest.param(
            "Symbole;Libellé;Quantité;PRU;Devise\nAIR.PA;Airbus;12;1\u00a0234,56 €;€\nTotal;;;;\n".encode("cp1252"),
            [held("AIR.PA", "12", "14814.72", "EUR")],
            id="French of Windows",
        ),
        pytest.param(
            "Symbol\tQuantity\tCost Basis\r\nAAPL\t10\t1,234.50\r\n".encode("utf-16"),
            [held("AAPL", "10", "1234.5")],
            id="UTF-16",
        ),
        pytest.param(
            '\ufeffSymbol,Quantity,Cost Basis\r\nAAPL,10,"$1,234.50"\r\nCash,"($1,000.00)",\r\n',
            [held("AAPL", "10", "1234.5"), held(None, "-1000")],
            id="mark of the byte order, brackets",
        ),
        pytest.param("Symbol;Quantity;Average price\nAAPL;10;12.50\n", [held("AAPL", "10", "125")], id="; and points"),
        pytest.param(
            'Symbol,Quantity,Avg Price\nAAPL,"1.234,5","2,50"\n',
            [held("AAPL", "1234.5", "3086.25")],
            id="quoted commas",
        ),
        pytest.param(
            "Symbol,Quantity,Cost\nAAPL,10-,500.00-\nMSFT,−5,−100\n",
            [held("AAPL", "-10", "-500"), held("MSFT", "-5", "-100")],
            id="signs at the end",
        ),
        pytest.param(
            'Symbol,Quantity,Cost\nAAPL,10,"USD 1,234.50"\nMSFT,5,1 234.50 EUR\nX,5,n/a\n',
            [held("AAPL", "10", "1234.5"), held("MSFT", "5", "1234.5"), held("X", "5")],
            id="currencies beside numbers",
        ),
        pytest.param(
            "Symbol,Quantity,Date Acquired\nAAPL,10,03/31/2020\nMSFT,5,11/05/2019\n",
            [held("AAPL", "10", opened=date(2020, 3, 31)), held("MSFT", "5", opened=date(2019, 11, 5))],
            id="American dates",
        ),
        pytest.param('sep=|\nSymbol|Quantity\n="AAPL"|10\n', [held("AAPL", "10")], id="for Excel"),
    ],
)  # fmt: skip
def test_what_a_file_says(tmp_path: Path, content: str | bytes, expected: list[HeldPosition]) -> None:
    file = tmp_path / "positions.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert list(read_positions(file).held) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (FIDELITY, "Line 4: Pending Activity has no number of shares, and -12.34 beside it."),
        (STATEMENT, "Line 12: AAPL 18DEC26 200 C is of kind Equity and Index Options, which is not held here."),
    ],
)
def test_what_is_left_out_is_told(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "positions.csv"
    file.write_text(content, "utf-8")
    assert read_positions(file).left_out == (sentence,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name;x\na;1\n", "no column with the ticker; found name, x"),
        ("ticker,x\nAAA,1\n", "no column with the number of shares"),
        ("ticker,shares\nAAA,many\n", "The shares is no number: 'many'"),
        ("ticker,shares\nAAA,1e12\n", "cannot be"),
        ("ticker,shares,average cost\nAAA,999999999,999999999\n", "cannot be"),
        ("ticker,shares,date\nAAA,1,03/04/2020\n", "with the day or the month first"),
        ("ticker,shares,date\nAAA,1,2020-01-02\nBBB,1,yesterday\n", "'yesterday' cannot be read"),
        ("ticker,shares,date\nAAA,1,2150-01-02\n", "'2150-01-02' is after today"),
        ("ticker,shares,currency\nAAA,1,dollars\n", "'dollars' is no code"),
        ("ISIN;Stück\nUS0378331005;10\n", "by number"),
        ("Symbol/ISIN,Quantity\nUS0378331005,10\n", "by number"),
        ("Symbol,Quantity\nUS0378331005,10\n", "by number"),
        ('ticker,shares\nAAA,"1,234"\n', "1,234 in the column of the shares can be read with a decimal separator"),
        ("ticker,shares\n", "no rows"),
        ("ticker,shares\nTotal,12\n", "no position"),
        ("", "empty"),
        ("PK\0\1", "not text"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "positions.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(InputError, match=message):
        read_positions(file)


@pytest.mark.parametrize(("decimal", "shares"), [(",", "1.234"), (".", "1234")])
def test_the_user_can_tell_the_decimal_separator(tmp_path: Path, decimal: str, shares: str) -> None:
    file = tmp_path / "positions.csv"
    file.write_text('ticker,shares\nAAA,"1,234"\n', "utf-8")
    assert read_positions(file, decimal=decimal).held == (held("AAA", shares),)


HEADER = "order_id,ticker,side,filled_quantity,filled_price,commission,date\n"


@pytest.mark.parametrize(
    "content",
    [
        HEADER + "pm1,AAA,buy,5,10.5,1,2024-01-31\npm2,B,buy,,,,\n",
        HEADER.replace(",", ";") + "pm1;AAA;buy;5;10,5;1;31.01.2024\npm2;B;buy;;;;\n",
        (HEADER.replace(",", "\t") + "pm1\tAAA\tbuy\t5\t10,50 €\t1,00 €\t31.01.2024\n").encode("utf-16"),
    ],
)
def test_a_ticket_that_is_filled_in(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "ticket.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    (fill,) = read_fills(file)
    assert (fill.order_id, fill.quantity, fill.price, fill.commission) == ("pm1", D(5), D("10.5"), D(1))
    assert fill.date == date(2024, 1, 31)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("pm1,AAA,buy,5,-1,,2024-01-05", "impossible"),
        ("pm1,AAA,buy,5,nan,,2024-01-05", "no price"),
        ("pm1,AAA,buy,5,1,,", "no date"),
        ("pm1,AAA,buy,5,1,,2150-01-05", "after today"),
        ("pm1,AAA,buy,5,1,-2,2024-01-05", "impossible"),
        ("pm1,AAA,buy,five,1,,2024-01-05", "'five'"),
    ],
)
def test_a_fill_that_cannot_be_is_refused_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    file = tmp_path / "ticket.csv"
    file.write_text(HEADER + row + "\n", "utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_fills(file)
    assert caught.value.where == f"{file}, line 2"
