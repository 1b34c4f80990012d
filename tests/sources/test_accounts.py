"""Lists of positions and of transactions, as brokers write them, are told to be none of bars."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from pm.sources import inspect_files
from pm.sources.accounts import account_file
from pm.sources.spellings import SPELLINGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.errors import InputError

    Refusal = Callable[[str, str | bytes], InputError]
    Write = Callable[[str, str | bytes], Path]

POSITIONS = {
    "Fidelity": "Account Number,Account Name,Symbol,Description,Quantity,Last Price,Last Price Change,Current Value,"
    "Today's Gain/Loss Dollar,Total Gain/Loss Percent,Percent Of Account,Cost Basis Total,Average Cost Basis,Type",
    "Schwab": '"Symbol","Description","Qty (Quantity)","Price","Mkt Val (Market Value)","Cost Basis","Gain $"',
    "Vanguard": "Account Number,Investment Name,Symbol,Shares,Share Price,Total Value,",
    "E*TRADE": "Symbol,Last Price $,Change $,Quantity,Price Paid $,Day's Gain $,Total Gain $,Value $",
    "Interactive Brokers": "Open Positions,Header,DataDiscriminator,Asset Category,Currency,Symbol,Quantity,Mult,"
    "Cost Price,Cost Basis,Close Price,Value,Unrealized P/L,Code",
    "a report of Interactive Brokers": "Symbol,Description,Quantity,MarkPrice,PositionValue,OpenPrice,CostBasisPrice,"
    "CostBasisMoney,FifoPnlUnrealized,ReportDate",
    "Yahoo": "Symbol,Current Price,Date,Time,Change,Open,High,Low,Volume,Trade Date,Purchase Price,Quantity,Commission",
    "DEGIRO": "Product,Symbol/ISIN,Amount,Closing,Local value,,Value in EUR",
    "DEGIRO in Dutch": "Product,Symbool/ISIN,Aantal,Slotkoers,Lokale waarde,,Waarde in EUR",
    "ING": "ISIN;Wertpapiername;Stück/Nominale;Einstandskurs;Währung;Kurs;Kurswert;Gewinn/Verlust",
    "comdirect": "Stück/Nom.;Bezeichnung;WKN;Währung;Akt. Kurs;Datum;Kaufkurs in EUR;Wert in EUR",
    "Boursorama": "name;isin;quantity;buyingPrice;lastPrice;intradayVariation;amount;amountVariation;variation",
    "French": "Libellé;Qté;PRU;Cours;Valorisation;+/- values latentes",
    "Italian": "Titolo;ISIN;Quantità;P.zo medio di carico;Prezzo di mercato;Valore di mercato;Utile/Perdita",
    "Spanish": "Valor;Títulos;Precio de compra;Última cotización;Valoración;Plusvalía",
    "Portuguese": "Ativo;Qtde;Custo médio;Cotação;Valor atual;Lucro/Prejuízo",
    "Swedish": "Värdepapper;Antal;GAV (SEK);Senast;Värde (SEK);Vinst/Förlust",
    "Polish": "Nazwa;Ilość;Cena zakupu;Kurs;Wartość;Zysk/Strata",
    "Turkish": "Sembol;Adet;Maliyet;Fiyat;Piyasa Değeri;Kâr/Zarar",
    "Russian": "Тикер;Количество;Средняя цена;Стоимость;Прибыль",
    "Japanese": "銘柄コード,銘柄名,保有数量,取得単価,現在値,評価額,評価損益",
    "Chinese": "证券代码,证券名称,持仓数量,成本价,现价,市值,浮动盈亏",
    "Korean": "종목명,보유수량,매입가,현재가,평가금액,평가손익",
    "without quantities": "Investment,Cost,Market Value,Gain",
    "dated, by hand": "date,symbol,quantity,price,market value,gain",
}
TRANSACTIONS = {
    "Schwab": "Date,Action,Symbol,Description,Quantity,Price,Fees & Comm,Amount",
    "Robinhood": "Activity Date,Process Date,Settle Date,Instrument,Description,Trans Code,Quantity,Price,Amount",
    "German": "Datum;Wertpapier;ISIN;Stück;Kurs;Betrag",
    "German, by description": "Datum;Bezeichnung;Stück;Kurs;Wert",
    "German, without an amount": "Datum;ISIN;Stück;Kurs",
    "Italian": "Data;Titolo;ISIN;Quantità;Prezzo;Controvalore",
    "Interactive Brokers": "Symbol,TradeDate,Quantity,TradePrice,Buy/Sell,IBCommission",
}
BARS = (
    "date,ticker,price,volume,value",
    "date,ticker,close,volume,turnover,value",
    "date,ticker,close,shares,market value",
    "date,ticker,price,quantity,value",
    "date,price,position,pnl",
    ",price,quantity,value",
    "Date,Open Price,High Price,Low Price,Close Price,WAP,No.of Shares,No. of Trades,Total Turnover (Rs.)",
    "Symbol,Series,Date,Open Price,High Price,Low Price,Last Price,Total Traded Quantity,Turnover,Deliverable Qty",
    "Date,Symbol,Last,High,Low,Quantity,Market Value",
    "Datum;Erster;Hoch;Tief;Schlusskurs;Stücke;Volumen",
    "Datum;ISIN;Erster;Hoch;Tief;Kurs;Stück",
    "Datum;Kurs;Stück",
    "Datum;Symbol;Kurs;Stück",
    "Datum;Name;Kurs;Volumen",
    "日付,銘柄コード,始値,高値,安値,終値,出来高,金額",
    "date,ticker,last,shares outstanding,market value",
)


@pytest.mark.parametrize(("kind", "name"), [
    *product(["positions"], POSITIONS), *product(["transactions"], TRANSACTIONS),
])  # fmt: skip
@pytest.mark.parametrize("above", [0, 3])
def test_a_list_of_an_account_is_told_to_be_one(refusal: Refusal, kind: str, name: str, above: int) -> None:
    header = {"positions": POSITIONS, "transactions": TRANSACTIONS}[kind][name]
    delimiter = ";" if ";" in header else ","
    row = delimiter.join("1" * (header.count(delimiter) + 1))
    error = refusal("AAPL.csv", "Positions of account X12, as of 2024-01-02\n" * above + f"{header}\n{row}\n{row}\n")
    assert error.what.startswith(f"The file lists {kind} of an account, not daily bars; found ")
    assert header.split(delimiter)[0].strip('"') in error.what
    assert "date and close" in error.hint


@pytest.mark.parametrize("header", BARS)
def test_bars_with_quantities_and_values_are_none(header: str) -> None:
    assert account_file(header.split(";" if ";" in header else ",")) is None


@pytest.mark.parametrize("close", [*SPELLINGS["close"], *SPELLINGS["adj_close"]])
def test_dates_and_closes_are_bars_whatever_else_is_there(close: str) -> None:
    for date in SPELLINGS["date"]:
        assert account_file([date, "symbol", close, "quantity", "cost basis", "value", "gain"]) is None


def test_an_import_names_a_list_of_positions_among_its_files(write: Write) -> None:
    bars = write("AAA.csv", "date,close\n2020-01-02,5\n")
    list_of_positions = write("portfolio.csv", "Symbol,Shares,Cost,Value\nAAA,3,10,15\n")
    inspected = inspect_files([bars, list_of_positions])
    assert [plan.ticker for plan in inspected.plans] == ["AAA"]
    assert [error.where for error in inspected.refused] == [str(list_of_positions)]
