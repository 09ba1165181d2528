"""The demo from its first step to its first answer."""

import secrets
import time
from dataclasses import replace

from app.supervisor import home
from app.supervisor.supervisor import Supervisor
from cli import bundles
from cli.accounts import create_account
from cli.console import err, out
from cli.demonstration import answer_table, stored, subcommand
from cli.demonstration.client import ApiClient
from cli.demonstration.installation import SAMPLE_TICKERS, TICKER, Installation, Remembered
from cli.demonstration.yahoo import YahooCollection, YahooTry
from cli.progress import working
from data_pipeline.errors import ConfigurationError


class Demonstration:
    """One run of the demo; what a former run made is used again."""

    def __init__(
        self, installation: Installation, supervisor: Supervisor, *, try_yahoo: bool, started_at: float
    ) -> None:
        self._installation = installation
        self._supervisor = supervisor
        self._started_at = started_at
        self._yahoo_try = YahooTry() if try_yahoo else None
        self._remembered = Remembered.read(installation.memory)

    def run(self) -> None:
        """All steps up to the printed answer; afterwards the API serves."""
        if self._installation.settings.port != self._installation.wanted_port:
            err.print(f"port {self._installation.wanted_port} is taken: the API gets the next free one")
        with working("PostgreSQL runs and is migrated"):
            self._supervisor.start_database()
        self._prepare_champion()
        collection = self._ask_yahoo()
        self._supervisor.start_api()
        self._settle_on_bars(collection)
        settings = self._supervisor.settings
        url = f"http://{settings.host}:{settings.port}"
        client = ApiClient(url)
        try:
            with working(f"The API answers at {url}"):
                client.wait_until_ready()
            email = self._sign_in(client)
            answer_table.show(client.predict(TICKER))
        finally:
            client.close()
        self._explain(url, email)

    def _prepare_champion(self) -> None:
        """Sample bars, a trained bundle, promoted by force: what is there already is left as it is."""
        settings = self._supervisor.settings
        bundle = self._remembered.bundle
        trained = bundle is not None and (settings.bundles / bundle / "manifest.json").is_file()
        if not trained or stored.find_window(settings, TICKER) is None:
            err.print("Loading, checking and storing the sample bars (public domain, 2000 to 2013)")
            subcommand.run(settings, "collect", "--source", "sample")
        if not trained:
            err.print("Training a small LSTM on them")
            tickers = ",".join(SAMPLE_TICKERS)
            bundle = subcommand.result(settings, "train", "--config", "demo", "--tickers", tickers)["bundle"]
            self._remember(bundle=bundle)
        if bundle is not None and (not trained or stored.champion_kind(settings) == "reference"):
            bundles.promote(settings, settings.bundles / bundle, force=True, reason="demo", by="closecast demo")

    def _ask_yahoo(self) -> YahooCollection | None:
        if self._yahoo_try is None:
            return None
        if self._yahoo_try.reached():
            return YahooCollection(self._supervisor.settings)
        err.print("Yahoo cannot be reached: the forecast is made as of the sample's end")
        return None

    def _settle_on_bars(self, collection: YahooCollection | None) -> None:
        """Yahoo's bars where they came and are fresh enough to be served, else those of the sample."""
        settings = self._supervisor.settings
        if collection is not None:
            with working("Yahoo was asked for its bars"):
                trouble = collection.trouble()
            if trouble is not None:
                err.print(f"Yahoo gave no bars ({trouble}): the forecast is made from stored ones")
        window = stored.find_window(settings, TICKER)
        if window is not None and not window.too_old and (collection is not None or not window.live):
            return
        if window is not None and window.too_old:
            err.print(f"The newest bar of {window.source} is of {window.cutoff}, too old to be served: the sample is")
        subcommand.run(settings, "collect", TICKER, "--source", "sample", "--force")

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

    def _explain(self, url: str, email: str) -> None:
        seconds = time.monotonic() - self._started_at
        read_token = "import json,sys; print(json.load(sys.stdin)['access_token'])"  # noqa: S105 (a program, no secret)
        out.print("\nThe same again, with curl:", style="bold")
        out.print(
            f"TOKEN=$(curl -s {url}/auth/token -d username={email} \\\n"
            f'  --data-urlencode "password@{self._installation.password}" | python3 -c "{read_token}")\n'
            f'curl -s {url}/predict/{TICKER} -H "Authorization: Bearer $TOKEN"',
            soft_wrap=True,
            markup=False,
        )
        out.print(
            f"\nAnswered after {seconds:.1f} s. Documentation: {url}/docs   Log: {self._installation.log}",
            soft_wrap=True,
        )
        out.print("A statistical forecast, no investment advice.")
