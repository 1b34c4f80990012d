"""Recognise files of an account: a broker's list of positions or of transactions, which is no file of bars.

They name tickers, quantities and prices, so that some could be read as bars, with a position's price for a close.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Literal

from pm.sources.spellings import SPELLINGS, WEAK_SPELLINGS, normalised

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["account_file"]

_LEAST = 3
"""Minimum number of columns of a list of positions or of transactions."""
_WORDS = 4
"""Maximum number of words of a name below."""


def _known(names: str) -> frozenset[str]:
    return frozenset(_plain(name) for name in names.split())


def _plain(text: str) -> str:
    """Return a text in lower case without accents."""
    parts = unicodedata.normalize("NFKD", text.lower())
    return "".join(part for part in parts if not unicodedata.combining(part))


_QUANTITY = _known("""
    quantity qty shares units position positions holding holdings sharesheld numberofshares contracts
    stück stückzahl anzahl menge bestand nominal nominale quantité qté parts quantità qtà cantidad títulos acciones
    participaciones quantidade qtd qtde cotas aantal stuks antal ilość liczba adet количество
    数量 保有数量 保有株数 株数 持仓 持仓数量 持股数量 股票余额 수량 보유수량 보유량
""")
"""Names of a quantity that is held or traded, without spaces and punctuation, as those below."""
_AMOUNT = _known("amount")
"""Names of a quantity, or of a sum of money: they count only where there is no date."""
_NOT_HELD = _known("traded trade trades deliverable delivered delivery outstanding volume float")
"""Words beside which a quantity is that of a market's day: 'Total Traded Quantity', 'Shares Outstanding'."""
_COST = _known("""
    cost costs costbasis costprice avgcost averagecost unitcost costpershare purchaseprice buyprice buyingprice
    pricepaid entryprice bookcost bookvalue bookprice acquisitionprice invested
    einstand einstandskurs einstandswert einstandspreis kaufkurs kaufwert kaufpreis anschaffungswert anschaffungskurs
    pru prixderevient prixderevientunitaire prixdachat coûtdachat prezzodicarico prezzomediodicarico valoredicarico
    coste costo precomedio preciodecompra costemedio custo preçomédiodecompra preçodecompra customédio
    aankoopkoers aankoopwaarde aankoopprijs gak kostprijs inköpspris inköpskurs anskaffningsvärde gav
    cenazakupu cenanabycia wartośćzakupu maliyet ортацена средняяцена ценапокупки
    取得単価 平均取得単価 取得価額 取得金額 成本 成本价 买入价 매입가 매입단가 매입금액 평균단가
""")
"""Names of what a position cost."""
_GAIN = _known("""
    gain gainloss profit profitloss pl pnl unrealized unrealised fifopnlunrealized
    gewinn gewinnverlust verlust gv guv plusvalue plusvalues moinsvalue valuelatente valueslatentes gainperte
    profitti utile utileperdita plusminus plusvalenza ganancia gananciaperdida plusvalía plusvalías
    lucro lucroprejuízo ganho winst winstverlies vinst vinstförlust zysk zyskstrata karzarar kârzarar прибыль
    損益 評価損益 盈亏 浮动盈亏 손익 평가손익
""")
"""Names of what a position gained."""
_VALUE = _known("""
    marketvalue marketval mktval mktvalue currentvalue positionvalue holdingvalue
    marktwert kurswert depotwert gesamtwert valorisation valeurdemarché valoredimercato valordemercado valoraciónactual
    marktwaarde marknadsvärde wartośćrynkowa piyasadeğeri рыночнаястоимость
    評価額 時価評価額 市值 最新市值 평가금액
""")
"""Names of what a position is worth."""
_WORTH = _known("""
    value wert valeur montant valore controvalore valor importe waarde värde wartość değer tutar
    стоимость 金额 金額 금액
""")
"""Names of a value that a market's day can have too: they tell a list of positions only where there is no date."""
_DEAL = _known("""
    action side buysell transactiontype transaction transcode tradetype ordertype ordernumber orderid commission
    commissions fees brokerage feescomm
    vorgang auftragsart transaktion transaktionstyp provision gebühren opération courtage operazione commissioni
    betrag gesamtbetrag endbetrag
    operación comisión operação corretagem transactie transactiekosten transaktionstyp courtage prowizja
    işlem komisyon комиссия операция 売買 手数料 买卖 买卖方向 手续费 매매구분 수수료
""")
"""Names of what only a transaction has."""
_TRADE_PRICE = _known("""
    kurs ausführungskurs cours koers prezzo precio preço cena fiyat цена 価格 約定単価 价格 成交价 체결가
""")
"""Names of the price of a transaction in other languages than English."""
_PAPERS = _known("""
    isin wkn cusip sedol product security description investment fund company
    produkt wertpapier bezeichnung titel symbole libellé nom symbool naam titolo nome simbolo símbolo activo ativo papel
    nombre värdepapper namn nazwa walor тикер инструмент
    銘柄 銘柄コード コード 证券代码 证券名称 股票代码 종목 종목명 종목코드
""")
"""Names of the column that says what is held or traded, without those of a column of tickers in a file of bars."""
_NAMES = _PAPERS | {_plain(name) for name in (*SPELLINGS["ticker"], *WEAK_SPELLINGS["ticker"])}
"""All names of the column that says what is held or traded."""


def account_file(header: Sequence[str]) -> Literal["positions", "transactions"] | None:
    """Return what a file with this header lists of an account; None if it can be a file of bars.

    A quantity that is held, beside a cost, a gain or a value, tells a list of positions; without dates, a cost beside a
    gain or a market value does too. A file of bars can have columns of these names as well, such as the number of
    shares traded and the turnover of a day. So a file with dates is taken for bars if it has a column of closes, if no
    column names what is held, or if it has highs and lows and no cost. Of others with dates, a quantity beside the name
    of a paper and a price in another language than English tells transactions.
    """
    names = [name for name in header if name.strip()]
    if len(names) < _LEAST:
        return None
    phrases = [set(_phrases(name)) for name in names]

    def has(known: frozenset[str]) -> bool:
        return any(found & known for found in phrases)

    keys = {normalised(name) for name in names}
    # A first column without a name can be the dates, as pandas writes them.
    is_dated = not keys.isdisjoint((*_spelled("date"), "time")) or not header[0].strip()
    is_ranged = not keys.isdisjoint(_spelled("high")) and not keys.isdisjoint(_spelled("low"))
    quantity = _QUANTITY if is_dated else _QUANTITY | _AMOUNT
    has_closes = not keys.isdisjoint((*_spelled("close"), *_spelled("adj_close")))
    has_quantity = any(found & quantity and not found & _NOT_HELD for found in phrases)
    has_gain = has(_GAIN) or has(_VALUE)
    is_listed = has_quantity or (not is_dated and has(_COST) and has_gain)
    if not is_listed or (is_dated and (has_closes or not has(_NAMES))):
        return None
    if has(_COST):
        return "positions"
    if is_ranged:
        return None
    if has(_DEAL) or (is_dated and has(_PAPERS) and has(_TRADE_PRICE)):
        return "transactions"
    return "positions" if has_gain or (not is_dated and has(_WORTH)) else None


def _spelled(field: str) -> tuple[str, ...]:
    return (normalised(field), *SPELLINGS[field])


def _phrases(name: str) -> Iterator[str]:
    """Yield the words of a column's name, and each few of them that stand together: 'cost', 'basis', 'costbasis'."""
    words = re.findall(r"[^\W_]+", _plain(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)))
    for first in range(len(words)):
        for last in range(first + 1, min(first + _WORDS, len(words)) + 1):
            yield "".join(words[first:last])
