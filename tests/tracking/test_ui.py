"""What a person sees: MLflow's own pages over a real sweep, drawn by a real Chromium.

A number that is in the database can still be missing from the page: a chart needs more than one
point, a table chooses its columns, an image may not load. So these tests look. Where one fails,
its message names a screenshot of what was seen.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.reporting.plots import COLOURS
from harness.tracking import mlflow_view
from harness.tracking.job_outcomes import Job, jobs
from harness.tracking.sent import address
from tests.support.mlflow_server import server
from tests.support.program import directories, run
from tests.support.store_contents import uri_in

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

sync_api: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH"),
]

LOOK_MS = 300_000  # until something that does not appear on a page is given up
SWEEP = [
    "backend=numpy,torch",
    "optimizer=sgd",
    "optimizer.lr=0.001,1e30",  # the second diverges
    "task=sum",
    "task.samples=100",  # a longer table takes the page seconds
    "trainer.epochs=3",
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing but our server
]
VIEWPORT = {"width": 1500, "height": 1200}
# Each page forgets what others unfolded, and has no assistant's panel, which takes a quarter of it.
FRESH = """
    localStorage.clear();
    localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
    localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
"""
FLAT = "orderByKey=metrics.%60val%2Floss%60&orderByAsc=true"  # MLflow then shows children unfolded


@dataclass(frozen=True)
class Site:
    """A running server, a browser, and what the sweep left to look at."""

    url: str
    browser: "BrowserContext"
    pictures: Path
    parent: dict[str, str]
    jobs: list[Job]

    @property
    def experiment(self) -> str:
        return f"/#/experiments/{self.parent['experiment_id']}/runs"

    @property
    def sweep(self) -> str:
        return f"{self.experiment}/{self.parent['run_id']}"

    def run(self, job: Job) -> str:
        return f"{self.experiment}/{job.address['run_id']}"

    def ended(self, status: str) -> Job:
        return next(job for job in self.jobs if job.status == status)

    @contextmanager
    def page(self, path: str) -> Iterator["Page"]:
        """A fresh page at `path`. If the looking fails, the error names a picture of the page."""
        page = self.browser.new_page()
        try:
            page.goto(self.url + path)
            yield page
        except (sync_api.Error, AssertionError) as error:
            picture = self.pictures / (re.sub(r"\W+", "-", path).strip("-") + ".png")
            page.screenshot(path=picture)
            raise AssertionError(f"screenshot: {picture}\n{error}") from error
        finally:
            page.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One sweep over two backends, half of whose jobs diverge, as MLflow and Chromium show it."""
    folder = tmp_path_factory.mktemp("ui")
    done = run(folder, "-m", *SWEEP)
    assert done.code == 1, done.out + done.err  # as it is when jobs have failed
    sweep = directories(folder)[0].parent
    parent = address(sweep)
    assert parent is not None, done.out + done.err
    with server(folder, uri_in(folder)) as url, sync_api.sync_playwright() as playwright:
        expect.set_options(timeout=LOOK_MS)
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        browser = chromium.new_context(viewport=VIEWPORT)  # one, for its cache of MLflow's scripts
        browser.set_default_timeout(LOOK_MS)
        browser.add_init_script(FRESH)
        yield Site(url, browser, folder, parent, jobs(sweep))
        chromium.close()


def test_runs_table_nests_the_jobs_under_their_sweep(site: Site) -> None:
    with site.page(site.experiment) as page:
        sweep = page.get_by_role("row").filter(has_text="sweep over backend")
        expect(sweep.get_by_role("link")).to_be_visible()
        names = [page.get_by_role("link", name=job.name, exact=True) for job in site.jobs]
        for name in names:
            expect(name).to_have_count(0)
        sweep.get_by_role("button").click()  # unfolds it
        for name in names:
            expect(name).to_be_visible()
        expect(page.get_by_role("gridcell").filter(has_text="sum (")).to_have_count(len(names))


def test_saved_view_shows_what_matters_without_scrolling(site: Site) -> None:
    view = mlflow_view.link(site.parent["experiment_id"], "")
    with site.page(view) as page:
        job = site.ended("FINISHED")
        expect(page.get_by_role("link", name=job.name, exact=True)).to_be_visible()
        wanted = ["Duration", "params/total", "test/loss", "train/loss", "val/loss"]
        for name in (*wanted, "optimizer.lr", "seed", "backend"):
            header = page.get_by_test_id(f"sort-header-{name}")
            expect(header).to_be_in_viewport(ratio=0.99)


def test_page_of_a_sweep_has_its_numbers_and_its_report(site: Site) -> None:
    with site.page(site.sweep) as page:
        expect(page.get_by_text(re.compile("^numpy and torch agree to "))).to_be_visible()
        expect(page.get_by_text(re.compile("2 jobs did not finish"))).to_be_visible()
        for name in ("jobs/finished", "jobs/failed", "loss/best", "gap/largest"):
            expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
    with site.page(f"{site.sweep}/artifacts/report/report.html") as page:
        for name in ("curves.png", "table.csv", "report.html"):
            expect(page.get_by_text(name, exact=True).first).to_be_visible()
        report = page.locator("iframe").first.content_frame
        expect(report.get_by_role("heading", name="Loss curves")).to_be_visible()


def test_charts_draw_both_loss_curves_of_each_backend_in_its_colour(site: Site) -> None:
    with site.page(f"{site.experiment}?compareRunsMode=CHART&{FLAT}") as page:
        cards = page.get_by_test_id("experiment-view-compare-runs-card")
        for metric, backend in product(("train/loss", "val/loss"), ("numpy", "torch")):
            page.get_by_placeholder("Search metric charts").fill(metric)
            card = cards.filter(has=page.get_by_text(metric, exact=True))
            card.scroll_into_view_if_needed()  # it is drawn once it is in sight
            red, green, blue = bytes.fromhex(COLOURS[backend].removeprefix("#"))
            line = card.locator(f"path.js-line[style*='rgb({red}, {green}, {blue})']").first
            expect(line).to_have_attribute("d", re.compile("M.+L.+"))  # from a point to another


def test_run_page_shows_status_parameter_count_and_data_set(site: Site) -> None:
    job = site.ended("FINISHED")
    with site.page(site.run(job)) as page:
        expect(page.get_by_role("heading", name=job.name)).to_be_visible()
        expect(page.get_by_text("Finished", exact=True)).to_be_visible()
        count = page.get_by_role("row").filter(has_text="params/total")
        expect(count).to_contain_text("1121")
        expect(page.get_by_text(re.compile(r"^sum \([0-9a-f]{32}\)"))).to_be_visible()
        expect(page.get_by_role("link", name=re.compile("^sweep over backend"))).to_be_visible()


def test_predictions_are_shown_as_a_table(site: Site) -> None:
    with site.page(f"{site.run(site.ended('FINISHED'))}/artifacts/predictions.csv") as page:
        for file, sign in (
            ("predictions.csv", "Previewing the first"),
            ("predictions.json", "View as table"),
        ):
            page.get_by_text(file, exact=True).first.click()
            expect(page.get_by_text(sign)).to_be_visible()
            headers = page.get_by_role("columnheader")
            for name in ("true", "predicted"):
                header = headers.filter(has=page.get_by_text(name, exact=True))
                header.scroll_into_view_if_needed()
                expect(header).to_be_in_viewport()
            row = page.get_by_role("row").nth(1)
            expect(row).to_contain_text(re.compile(r"\d\.\d{3}.*\d\.\d{3}", re.DOTALL))


def test_plots_are_images_that_load(site: Site) -> None:
    with site.page(f"{site.run(site.ended('FINISHED'))}/artifacts/plots/loss.png") as page:
        for file in ("loss.png", "predictions.png"):
            page.get_by_text(file, exact=True).click()
            image = page.get_by_alt_text(f"plots/{file}")
            expect(image).to_be_visible()
            assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_failed_run_says_so_and_shows_its_traceback(site: Site) -> None:
    job = site.ended("FAILED")
    with site.page(site.run(job)) as page:
        expect(page.get_by_text("Failed", exact=True)).to_be_visible()
        page.get_by_role("tab", name="Artifacts").click()
        page.get_by_text("traceback.txt", exact=True).click()
        expect(page.get_by_text(re.compile("Diverged: loss not finite")).first).to_be_visible()


def test_description_of_the_sweep_links_to_its_jobs(site: Site) -> None:
    job = site.ended("FINISHED")
    with site.page(site.sweep) as page:
        page.get_by_text("Show more").click()
        link = page.get_by_role("cell").get_by_role("link", name=job.name, exact=True)
        with page.context.expect_page() as opened:
            link.click()
        expect(opened.value.get_by_role("heading", name=job.name)).to_be_visible()
