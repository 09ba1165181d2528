"""Which exchange a ticker trades on, and in which currency its prices are told.

An exchange is named by the calendar it trades by, as exchange_calendars knows it: every venue of US shares is ``XNYS``,
crypto trades by ``24/7``, currencies by ``24/5``. No pandas here: the API maps tickers too.
"""

import re

from data_pipeline.errors import ClosecastError

US_SHARES = "XNYS"

# Yahoo's suffixes (help.yahoo.com SLN2310) and, where the venue has no calendar of its own, the exchange whose days it
# keeps: Shenzhen those of Shanghai, KOSDAQ those of the KRX, the smaller venues of Germany those of Frankfurt.
_EXCHANGE_OF_SUFFIX = {
    "AS": "XAMS",
    "AT": "ASEX",
    "AX": "XASX",
    "BA": "XBUE",
    "BD": "XBUD",
    "BE": "XFRA",
    "BK": "XBKK",
    "BO": "XBOM",
    "BR": "XBRU",
    "CL": "XBOG",
    "CN": "XTSE",
    "CO": "XCSE",
    "DE": "XETR",
    "DU": "XDUS",
    "F": "XFRA",
    "HA": "XFRA",
    "HE": "XHEL",
    "HK": "XHKG",
    "HM": "XHAM",
    "IC": "XICE",
    "IL": "XLON",
    "IR": "XDUB",
    "IS": "XIST",
    "JK": "XIDX",
    "JO": "XJSE",
    "KL": "XKLS",
    "KQ": "XKRX",
    "KS": "XKRX",
    "L": "XLON",
    "LS": "XLIS",
    "MC": "XMAD",
    "MI": "XMIL",
    "MU": "XFRA",
    "MX": "XMEX",
    "NE": "XTSE",
    "NS": "XBOM",
    "NZ": "XNZE",
    "OL": "XOSL",
    "PA": "XPAR",
    "PR": "XPRA",
    "PS": "XPHS",
    "RG": "XRIS",
    "RO": "XBSE",
    "SA": "BVMF",
    "SG": "XSTU",
    "SI": "XSES",
    "SN": "XSGO",
    "SR": "XSAU",
    "SS": "XSHG",
    "ST": "XSTO",
    "SW": "XSWX",
    "SZ": "XSHG",
    "T": "XTKS",
    "TA": "XTAE",
    "TL": "XTAL",
    "TO": "XTSE",
    "TW": "XTAI",
    "TWO": "XTAI",
    "V": "XTSE",
    "VI": "XWBO",
    "VS": "XLIT",
    "WA": "XWAR",
}

# Symbols whose form is their market: currencies, futures (COMEX, NYMEX and CBOT keep CME's days), crypto pairs.
_EXCHANGE_OF_FORM = (
    (re.compile(r"=X$"), "24/5"),
    (re.compile(r"=F$"), "CMES"),
    (re.compile(r"^[^.^]+-[A-Z]{3}$"), "24/7"),
)

# ``meta.exchangeName`` of Yahoo's chart answer, for what only Yahoo can tell: the home of an index.
_EXCHANGE_OF_YAHOO_CODE = {
    **dict.fromkeys(("SNP", "DJI", "NIM", "CBO", "CGI", "WCB", "NYS", "NYQ", "NMS", "NGM", "NCM", "NAS"), US_SHARES),
    "SAO": "BVMF",
    "LSE": "XLON",
    "FGI": "XLON",
    "GER": "XETR",
    "PAR": "XPAR",
    "ZRH": "XSTO",
    "EBS": "XSWX",
    "MCE": "XMAD",
    "OSA": "XTKS",
    "HKG": "XHKG",
    "KSC": "XKRX",
    "SHH": "XSHG",
    "TOR": "XTSE",
    "ASX": "XASX",
    "BSE": "XBOM",
    "NSI": "XBOM",
}

_EURO = "XAMS XBRU XDUB XDUS XETR XFRA XHAM XHEL XLIS XLIT XMAD XMIL XPAR XRIS XSTU XTAL XWBO ASEX"
# London, Johannesburg and Tel Aviv quote shares in hundredths, which Yahoo spells GBp, ZAc and ILA.
_CURRENCY_OF_EXCHANGE = {
    **dict.fromkeys(_EURO.split(), "EUR"),
    **dict.fromkeys(("XNYS", "CMES", "IEPA", "24/7", "24/5"), "USD"),
    "BVMF": "BRL",
    "XASX": "AUD",
    "XBKK": "THB",
    "XBOG": "COP",
    "XBOM": "INR",
    "XBSE": "RON",
    "XBUD": "HUF",
    "XBUE": "ARS",
    "XCSE": "DKK",
    "XHKG": "HKD",
    "XICE": "ISK",
    "XIDX": "IDR",
    "XIST": "TRY",
    "XJSE": "ZAc",
    "XKLS": "MYR",
    "XKRX": "KRW",
    "XLON": "GBp",
    "XMEX": "MXN",
    "XNZE": "NZD",
    "XOSL": "NOK",
    "XPHS": "PHP",
    "XPRA": "CZK",
    "XSAU": "SAR",
    "XSES": "SGD",
    "XSGO": "CLP",
    "XSHG": "CNY",
    "XSTO": "SEK",
    "XSWX": "CHF",
    "XTAE": "ILA",
    "XTAI": "TWD",
    "XTKS": "JPY",
    "XTSE": "CAD",
    "XWAR": "PLN",
}


class UnknownExchangeError(ClosecastError):
    """Nothing tells which exchange a ticker trades on: check its suffix (Yahoo writes BRK-B, not BRK.B)."""

    def __init__(self, ticker: str, hint: str = "") -> None:
        super().__init__(f"{ticker}: no exchange known for it{f' ({hint})' if hint else ''}")
        self.ticker = ticker


def exchange_of(ticker: str, yahoo_exchange: str | None = None) -> str:
    """Exchange of ``ticker`` by the form of its symbol, else by ``yahoo_exchange`` (``meta.exchangeName``).

    Parameters
    ----------
    ticker : as Yahoo spells it, upper case; one without suffix is a US share.

    Raises
    ------
    UnknownExchangeError : a suffix that no exchange has, and no Yahoo code that says more.

    Examples
    --------
    >>> exchange_of("PETR4.SA"), exchange_of("BRK-B"), exchange_of("BTC-USD"), exchange_of("^BVSP", "SAO")
    ('BVMF', 'XNYS', '24/7', 'BVMF')
    """
    _, dot, suffix = ticker.rpartition(".")
    if dot and suffix in _EXCHANGE_OF_SUFFIX:
        return _EXCHANGE_OF_SUFFIX[suffix]
    for form, exchange in _EXCHANGE_OF_FORM:
        if form.search(ticker):
            return exchange
    if yahoo_exchange in _EXCHANGE_OF_YAHOO_CODE:
        return _EXCHANGE_OF_YAHOO_CODE[yahoo_exchange]
    if dot or "=" in ticker or ticker.startswith("^"):
        raise UnknownExchangeError(ticker, f"Yahoo names {yahoo_exchange}" if yahoo_exchange else "")
    return US_SHARES


def currency_of(exchange: str) -> str:
    """Currency in which the shares of ``exchange`` are usually quoted, for sources that do not tell.

    Raises
    ------
    UnknownExchangeError : ``exchange`` is none of ours.
    """
    try:
        return _CURRENCY_OF_EXCHANGE[exchange]
    except KeyError:
        raise UnknownExchangeError(exchange) from None
