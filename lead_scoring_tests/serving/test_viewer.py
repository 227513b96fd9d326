"""The page /docs needs nobody but the API: a browser that keeps to its policy asks no other host."""

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest

from lead_scoring_assets.serving import viewer
from lead_scoring_tests.serving.served import ADDRESS, Served


class Named(HTMLParser):
    """Every address that a page names, and whether it holds what its policy forbids."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]
        if tag == "style" or (tag == "script" and "src" not in told) or "style" in told:
            self.inline.append(tag)


def test_the_page_names_only_what_the_api_answers(served: Served) -> None:
    served.deploy(1)
    with served.client() as client:
        page = client.get("/docs")
        named = Named(page.text)
        assert len(named.addresses) >= 4
        assert named.inline == []
        for prefix in ("/docs", "/behind/a/gateway/docs"):
            addresses = {urljoin(f"{ADDRESS}{prefix}", address) for address in named.addresses}
            assert {urlsplit(address).netloc for address in addresses} == {urlsplit(ADDRESS).netloc}
        answers = {address: client.get(urljoin("/docs", address)) for address in named.addresses}
    assert {address: answer.status_code for address, answer in answers.items()} == dict.fromkeys(answers, 200)
    assert all(answer.headers["x-content-type-options"] == "nosniff" for answer in (page, *answers.values()))
    assert served.records() == []


def test_the_page_allows_nothing_from_elsewhere(served: Served) -> None:
    served.deploy(1)
    with served.client() as client:
        policy = client.get("/docs").headers["content-security-policy"]
    directives = dict(directive.split(maxsplit=1) for directive in policy.split("; "))
    assert directives["default-src"] == directives["frame-ancestors"] == "'none'"
    assert {source for sources in directives.values() for source in sources.split()} == {"'self'", "'none'", "data:"}


@pytest.mark.parametrize(
    "name", ["redoc.standalone.js", "..%2fcore.py", "../core.py", "%2e%2e/core.py", "oauth2-redirect", ""]
)
def test_nothing_else_lies_beside_it(served: Served, name: str) -> None:
    served.deploy(1)
    with served.client() as client:
        assert client.get(f"/docs/{name}", follow_redirects=False).status_code in (307, 404)


def test_the_script_opens_the_document(served: Served) -> None:
    served.deploy(1)
    with served.client() as client:
        assert 'url: "openapi.json"' in client.get(f"/docs/{viewer._START}").text
        assert client.get("/openapi.json").json()["paths"]["/predict"]["post"]["tags"] == ["leads"]
