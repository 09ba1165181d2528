"""The demo from its first step to its first answer."""

import secrets
import time
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from app.supervisor import home
from app.supervisor.errors import ServiceError
from app.supervisor.supervisor import Supervisor
from cli import answer_table, bundles, gate_table
from cli.accounts import create_account
from cli.console import err, out
from cli.demonstration import stored, subcommand
from cli.demonstration.client import ApiClient
from cli.demonstration.installation import FORECAST_TICKERS, LOOPBACK, SAMPLE_TICKERS, Installation, Remembered
from cli.demonstration.yahoo import YahooCollection, YahooTry
from cli.exit_codes import ExitCode
from cli.progress import working
from data_pipeline.errors import ConfigurationError

DECIDED_BY = "closecast demo"


class Demonstration:
    """One run of the demo; what a former run made is used again."""

    def __init__(
        self,
        installation: Installation,
        supervisor: Supervisor,
        *,
        try_yahoo: bool,
        train: bool = True,
        started_at: float,
    ) -> None:
        self._installation = installation
        self._supervisor = supervisor
        self._started_at = started_at
        self._train = train
        self._yahoo_try = YahooTry() if try_yahoo else None
        self._remembered = Remembered.read(installation.memory)

    def run(self, *, once: bool) -> None:
        """All steps up to the printed answer; afterwards the API serves, or with ``once`` is stopped by the caller."""
        if self._installation.settings.port != self._installation.wanted_port:
            err.print(f"port {self._installation.wanted_port} is taken: the API gets the next free one")
        with working("PostgreSQL runs and is migrated"):
            self._supervisor.start_database()
        self._prepare_champion()
        collection = self._ask_yahoo()
        self._supervisor.start_api()
        ticker = self._settle_on_bars(collection)
        host = LOOPBACK if self._is_open else self._installation.settings.host
        url = f"http://{host}:{self._supervisor.settings.port}"
        client = ApiClient(url)
        try:
            with working(f"The API answers at {url}"):
                client.wait_until_ready()
            email = self._sign_in(client)
            answer = client.predict(ticker)
        finally:
            client.close()
        answer_table.show(answer)
        self._tell_other_bundle(answer["bundle"])
        if not once:
            self._show_curl(url, email, ticker)
        self._close(url, once=once)

    def _prepare_champion(self) -> None:
        """Sample bars, a trained bundle, promoted by the gate or by force: what is there already is left as it is."""
        settings = self._supervisor.settings
        self._collect_sample()
        if not self._train:
            return
        newest = stored.newest_promotion(settings)
        if newest is not None and newest.kind != "reference" and newest.decided_by != DECIDED_BY:
            by = f"{newest.decided_by} (promotion: {newest.kind})"
            err.print(f"The champion stays {newest.bundle_id[:12]}, as decided by {by}", soft_wrap=True)
            return
        bundle = self._trained_bundle()
        if newest is None or newest.bundle_id != bundle:
            self._promote(bundle, former=None if newest is None else newest.bundle_id)

    def _promote(self, bundle: str, *, former: str | None) -> None:
        """Ask the gate, tell what it says, and serve the bundle whatever that was: five tickers prove little."""
        settings = self._supervisor.settings
        if former not in (None, bundle):
            err.print("Asking the gate whether it beats the champion on the sample's newest days")
            verdict = subcommand.result(settings, "promote", bundle, accepted=ExitCode.MODEL)
            err.print(gate_table.brief(verdict), soft_wrap=True)
            if verdict["passed"]:
                return
        bundles.force(settings, settings.bundles / bundle, reason="demo", by=DECIDED_BY)

    def _collect_sample(self) -> None:
        """Store the sample's tickers that are not stored yet; bars of another collection are published, not touched."""
        settings = self._supervisor.settings
        missing = [ticker for ticker in SAMPLE_TICKERS if stored.find_window(settings, ticker) is None]
        if missing:
            err.print("Loading, checking and storing the sample bars (public domain, 2000 to 2013)")
            subcommand.run(settings, "collect", *missing, "--source", "sample", "--keep-stored")

    def _trained_bundle(self) -> str:
        """The bundle of a former run, or a new one."""
        settings, bundle = self._supervisor.settings, self._remembered.bundle
        if bundle is None or not (settings.bundles / bundle / "manifest.json").is_file():
            err.print("Training a small LSTM on them")
            tickers = ",".join(SAMPLE_TICKERS)
            bundle = str(subcommand.result(settings, "train", "--config", "demo", "--tickers", tickers)["bundle"])
            self._remember(bundle=bundle)
        return bundle

    def _ask_yahoo(self) -> YahooCollection | None:
        if self._yahoo_try is None:
            return None
        if self._yahoo_try.reached():
            return YahooCollection(self._supervisor.settings)
        err.print("Yahoo cannot be reached: the forecast is made as of the sample's end")
        return None

    def _settle_on_bars(self, collection: YahooCollection | None) -> str:
        """The ticker to forecast: AAPL from Yahoo where that came and is fresh, else one of the sample.

        Raises
        ------
        ServiceError : none can be served; stored bars are never replaced for a demo.
        """
        if collection is not None:
            with working("Yahoo was asked for its bars"):
                trouble = collection.trouble()
            if trouble is not None:
                err.print(f"Yahoo gave no bars ({trouble}): the forecast is made from stored ones")
        for ticker in FORECAST_TICKERS:
            window = stored.find_window(self._supervisor.settings, ticker)
            if window is None:
                continue
            if window.too_old:
                err.print(f"{ticker}: the newest bar of {window.source} is of {window.cutoff}, too old to be served")
            elif collection is not None or not window.live:
                return ticker
        raise ServiceError(f"none of {', '.join(FORECAST_TICKERS)} has stored bars that the demo can serve")

    def _sign_in(self, client: ApiClient) -> str:
        """Sign in with the account of a former run, or with a new one whose password is shown once."""
        path, email = self._installation.password, self._remembered.email
        if email is not None and path.exists() and client.sign_in(email, path.read_text()):
            return email
        email, password = f"demo-{secrets.token_hex(3)}@example.com", secrets.token_urlsafe(18)
        create_account(self._supervisor.settings, email=email, password=password)
        home.write_private(path, password)
        self._remember(email=email)
        out.print(
            f"\nDemo account [bold]{email}[/bold], password [bold]{password}[/bold] (shown this once)", soft_wrap=True
        )
        if not client.sign_in(email, password):
            raise ConfigurationError(f"the account {email} was made, but cannot sign in")
        return email

    def _remember(self, **news: str) -> None:
        self._remembered = replace(self._remembered, **news)
        self._remembered.write(self._installation.memory)

    def _tell_other_bundle(self, served: dict[str, Any]) -> None:
        """Say so where another bundle than the demo's answered: promoted by others, or in place of one too old."""
        own = self._remembered.bundle
        if served["id"] == own:
            return
        another = "an LSTM of the demo: none was trained" if own is None else f"the demo's LSTM {own[:12]}"
        answered = f"the {served['kind']} {served['id'][:12]} (promotion: {served['promotion']})"
        err.print(f"Answered by {answered}, not by {another}", soft_wrap=True)

    def _show_curl(self, url: str, email: str, ticker: str) -> None:
        # Whoever listens to everybody is asked from elsewhere, as the host of a container, where the file is not.
        password = "=$PASSWORD" if self._is_open else f"@{self._installation.password}"
        read_token = "import json,sys; print(json.load(sys.stdin)['access_token'])"  # noqa: S105 (a program, no secret)
        out.print("\nThe same again, with curl:", style="bold")
        out.print(
            f"TOKEN=$(curl -s {url}/auth/token -d username={email} \\\n"
            f'  --data-urlencode "password{password}" | python3 -c "{read_token}")\n'
            f'curl -s {url}/predict/{ticker} -H "Authorization: Bearer $TOKEN"',
            soft_wrap=True,
            markup=False,
        )

    @property
    def _is_open(self) -> bool:
        """Whether all of this machine's addresses are listened to: 0.0.0.0 and :: are none that could be asked."""
        try:
            return ip_address(self._installation.settings.host).is_unspecified
        except ValueError:  # a name
            return False

    def _close(self, url: str, *, once: bool) -> None:
        seconds = time.monotonic() - self._started_at
        served = "Stopped (--once): `make demo` goes on serving." if once else f"Documentation: {url}/docs"
        out.print(f"\nAnswered after {seconds:.1f} s. {served}   Log: {self._installation.log}", soft_wrap=True)
        out.print("A statistical forecast, no investment advice.")
