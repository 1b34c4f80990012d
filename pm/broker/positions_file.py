"""Read the positions and the cash of an account from a broker's file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.broker.broker_table import Cells, columns_of, days, numbers, open_table
from pm.currencies import HUNDREDTHS
from pm.errors import InputError
from pm.ledger.money import LARGEST, money, quantity
from pm.plural import first_of
from pm.sources.spellings import normalised

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from decimal import Decimal
    from pathlib import Path

    from pm.sources.delimited import DelimitedText

__all__ = ["HeldPosition", "PositionsFile", "read_positions"]

_SPELLINGS = {
    "ticker": (
        *("ticker", "symbol", "tickersymbol", "symbolcusip", "financialinstrument", "instrument", "security"),
        *("kürzel", "börsenkürzel", "tickerkürzel", "symbole", "mnémo", "mnemo", "símbolo", "simbolo", "symbool"),
    ),
    "shares": (
        *("shares", "quantity", "qty", "qtyquantity", "position", "units", "numberofshares", "sharesheld"),
        *("amountheld", "volume", "stück", "stücknom", "stückzahl", "anzahl", "menge", "bestand", "quantité"),
        *("quantite", "qté", "cantidad", "títulos", "quantità", "quantidade", "aantal", "antal", "nombre"),
    ),
    "price": (
        *("averagecost", "avgcost", "averageprice", "avgprice", "costbasisshare", "costprice", "averagecostbasis"),
        *("costshare", "openprice", "unitcost", "avgentryprice", "purchaseprice", "costpershare", "einstandskurs"),
        *("einstandspreis", "øeinstandskurs", "kaufkurs", "durchschnittskurs", "pru", "prixderevientunitaire"),
        *("prixderevient", "prixdachat", "prixmoyen", "preciomedio", "preciodecompra", "prezzomedio"),
        *("prezzomediodicarico", "prezzodicarico", "preçomédio", "gak", "gav"),
    ),
    "cost": (
        *("cost", "costbasis", "costbasistotal", "totalcost", "totalcostbasis", "bookvalue", "bookcost"),
        *("einstandswert", "kaufwert", "anschaffungswert", "valeurdachat", "montantinvesti", "valoredicarico"),
    ),
    "value": (
        *("marketvalue", "mktvalmarketvalue", "mktval", "currentvalue", "value", "marktwert", "kurswert", "wert"),
        *("gesamtwert", "valorisation", "valeur", "valor", "controvalore", "waarde"),
    ),
    "currency": ("currency", "ccy", "cur", "währung", "devise", "divisa", "moneda", "valuta", "moeda"),
    "opened": (
        *("date", "opened", "opendate", "dateacquired", "acquired", "purchasedate", "opentime", "kaufdatum"),
        *("datedachat", "fechadecompra", "datadiacquisto"),
    ),
    "name": (
        *("description", "name", "product", "securityname", "bezeichnung", "wertpapier", "libellé", "libelle"),
        *("nombre", "descrizione", "titolo", "produkt"),
    ),
    "kind": ("assetcategory", "securitytype", "assetclass", "assettype", "instrumenttype", "wertpapierart", "gattung"),
}  # fmt: skip
"""For each column that is read, headings of brokers' files in English, German, French and other languages."""
_NUMBERS = ("shares", "price", "cost", "value")
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}\d")
_ISINS = {"isin", "symbolisin", "wkn", "isinwkn", "codeisin", "cusip", "sedol"}
"""Headings of columns of numbers of securities that are no tickers."""
_CASH = {
    *("cash", "cashcashinvestments", "cashbalance", "totalcash", "cashandmoneymarket", "cashequivalents", "kasse"),
    *("barbestand", "barguthaben", "guthaben", "kontostand", "liquidität", "verrechnungskonto", "liquidités"),
    *("espèces", "soldeespèces", "efectivo", "liquidez", "contanti", "liquidità", "contant"),
}
"""Texts of a row of cash, without spaces and punctuation."""
_CORE_POSITION = "**"
"""End of the symbol of the fund in which Fidelity holds an account's cash."""
_TOTALS = {"total", "totals", "accounttotal", "grandtotal", "subtotal", "summe", "gesamt", "gesamtsumme", "somme"} | {
    *("totaux", "totalgénéral", "totale", "totaal", "summa", "portfoliototal", "depotwert", "gesamtwert"),
}
"""Texts of a row that adds up others."""
_NOT_HELD = re.compile(
    r"option|bond|fixed income|future|warrant|anleihe|zertifikat|obligation|derivat|crypto", re.IGNORECASE
)
"""Kinds of what is no share and no fund."""
_SIGNS = {"$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "EURO": "EUR", "US DOLLAR": "USD"}
"""Other ways to write a currency."""
_STATEMENT = ("Statement", "Header")
"""First two fields of a statement of Interactive Brokers, whose lines begin with the name of a section."""


@dataclass(frozen=True)
class HeldPosition:
    """A position, or cash if `ticker` is None.

    Attributes
    ----------
    shares
        Number of shares, negative for a short position; of cash, the amount.
    cost
        What they cost, in the position's currency; None if the file does not tell.
    currency
        None if the file does not tell.
    opened
        Day of the purchase; None if the file does not tell.
    """

    ticker: str | None
    shares: Decimal
    cost: Decimal | None
    currency: str | None
    opened: date | None


@dataclass(frozen=True)
class PositionsFile:
    """What a broker's file says of an account.

    Attributes
    ----------
    held
        Positions and cash, in the order of the file.
    left_out
        A sentence for each line that has an amount, and is neither a position in shares nor cash.
    """

    held: tuple[HeldPosition, ...]
    left_out: tuple[str, ...] = ()

    @property
    def has_cash(self) -> bool:
        """Whether it tells the cash of the account."""
        return any(position.ticker is None for position in self.held)


def read_positions(path: Path, *, decimal: str | None = None) -> PositionsFile:
    """Return the positions and the cash of a file: a table with columns for ticker and number of shares.

    Lines above the header and lines that add up others are left out. A row named Cash is cash.

    Parameters
    ----------
    decimal
        Decimal separator if the user tells it.

    Raises
    ------
    InputError
        The file cannot be read or has no such table, or a number or a date cannot be read; the message has the line.
    """
    table = open_table(path, _is_header)
    if tuple(table.header[:2]) == _STATEMENT:
        rows, others = _of_statement(table), []
        columns = {name for cells in rows for name in cells.text}
    else:
        places = columns_of(table.header, _SPELLINGS)
        _require_columns(table, places)
        columns = set(places)
        lines = list(table.rows())
        rows = [
            Cells(
                f"{table}, line {line}",
                {name: fields[place] for name, place in places.items() if place < len(fields)}
                | {"label": next(filter(None, fields), "")},
            )
            for line, fields in lines
        ]
        further = sorted(set(range(len(table.header))) - set(places.values()))
        others = [[fields[place] if place < len(fields) else "" for _, fields in lines] for place in further]
    rows = [cells for cells in rows if not _adds_up(cells)]
    told = numbers(
        rows, [name for name in _NUMBERS if name in columns], others, dates="opened", delimiter=table.delimiter,
        decimal=decimal,
    )  # fmt: skip
    opened = days(rows, "opened")
    held: list[HeldPosition] = []
    left_out: list[str] = []
    for cells, number, day in zip(rows, told, opened, strict=True):
        line = _of_line(cells, number, day)
        if isinstance(line, str):
            left_out.append(f"{cells.where.rpartition(', ')[2].capitalize()}: {line}")
        elif line is not None:
            held.append(line)
    if not held:
        raise InputError("The file has no position.", where=str(path), hint="see docs/trading.md for its form")
    tickers = [position.ticker for position in held if position.ticker is not None]
    if tickers and all(_ISIN.fullmatch(ticker) for ticker in tickers):
        raise _without_tickers(str(path))
    return PositionsFile(tuple(held), tuple(left_out))


def _is_header(header: Sequence[str]) -> bool:
    columns = columns_of(header, _SPELLINGS)
    return {"ticker", "shares"} <= columns.keys() or tuple(header[:2]) == _STATEMENT


def _require_columns(table: DelimitedText, places: dict[str, int]) -> None:
    if {"ticker", "shares"} <= places.keys():
        return
    if not _ISINS.isdisjoint(normalised(name) for name in table.header) and "ticker" not in places:
        raise _without_tickers(str(table))
    missing = "ticker" if "ticker" not in places else "number of shares"
    raise InputError(
        f"The file has no column with the {missing}; found {first_of([name for name in table.header if name], 12)}.",
        where=str(table),
        hint="name the columns ticker and shares, and where known cost or average cost, currency, date",
    )


def _without_tickers(where: str) -> InputError:
    return InputError(
        "The file names its securities by number (ISIN, WKN, CUSIP), and not by ticker.",
        where=where,
        hint="add a column ticker, with the tickers of your bars",
    )


def _adds_up(cells: Cells) -> bool:
    """Return whether a line adds up others."""
    label = normalised(cells["ticker"] or cells["label"])
    is_empty = not any(character.isdigit() for character in cells["shares"])
    return label in _TOTALS or (is_empty and label.startswith("total"))


def _of_line(cells: Cells, number: dict[str, Decimal | None], opened: date | None) -> HeldPosition | str | None:
    """Return a position or cash, a sentence on why it is left out, or None if the line says nothing."""
    ticker, name = cells["ticker"], cells["name"]
    shares, cost, value = number.get("shares"), number.get("cost"), number.get("value")
    words = {normalised(ticker), normalised(cells["kind"]), *([] if ticker else [normalised(name)])}
    currency = _currency(cells)
    if not words.isdisjoint(_CASH) or ticker.endswith(_CORE_POSITION):
        amount = next((amount for amount in (value, shares, cost) if amount is not None), None)
        return HeldPosition(None, money(amount), None, currency, None) if amount else None
    what = ticker or name or cells["label"]
    if not shares:
        amount = value if value is not None else cost
        return f"{what} has no number of shares, and {amount:,f} beside it." if amount and shares is None else None
    if _NOT_HELD.search(cells["kind"]):
        return f"{what} is of kind {cells['kind']}, which is not held here."
    if not ticker:
        return f"{name or cells['label']} has no ticker."
    if abs(shares) >= LARGEST:
        raise InputError(
            f"{ticker} has {shares:,f} shares, which cannot be.", where=cells.where, hint="correct the number"
        )
    shares = quantity(shares)
    if cost is not None:
        cost = money(abs(cost) if shares > 0 else -abs(cost))
    elif (price := number.get("price")) is not None:
        cost = money(shares * price)
    if cost is not None and abs(cost) >= LARGEST * 10_000:
        raise InputError(f"{ticker} cost {cost:,f}, which cannot be.", where=cells.where, hint="correct the number")
    return HeldPosition(ticker, shares, cost, currency, opened)


def _currency(cells: Cells) -> str | None:
    text = cells["currency"]
    if text in HUNDREDTHS or not text or text in {"-", "--"}:
        return text.strip("-") or None
    code = _SIGNS.get(text.upper(), text.upper())
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise InputError(
            f"{text[:20]!r} is no code of a currency.", where=cells.where, hint="write its code, such as USD"
        )
    return code


def _of_statement(table: DelimitedText) -> list[Cells]:
    """Return the lines of a statement of Interactive Brokers that tell positions and cash, by our names of columns."""
    found, header = [], [""]
    for line, fields in table.rows():
        section, kind = (*fields, "", "")[:2]
        if kind == "Header":
            header = fields
            continue
        row = dict(zip(header, fields, strict=False))
        if kind != "Data":
            continue
        cells = None
        if section == "Open Positions" and row.get("DataDiscriminator", "Summary") == "Summary":
            cells = {
                "ticker": row.get("Symbol", ""),
                "shares": row.get("Quantity", ""),
                "cost": row.get("Cost Basis", ""),
                "currency": row.get("Currency", ""),
                "kind": row.get("Asset Category", ""),
            }
        is_cash = row.get("Currency Summary") == "Ending Cash" and row.get("Currency") != "Base Currency Summary"
        if section == "Cash Report" and is_cash:
            cells = {"ticker": "Cash", "shares": row.get("Total", ""), "currency": row.get("Currency", "")}
        if cells is not None:
            found.append(Cells(f"{table}, line {line}", cells))
    return found
