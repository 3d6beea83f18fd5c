"""Stand-ins for the benchmark's four Wiki sources, made from Wikipedia by the paper's recipe.

The paper asks "The image shows" about the lead image of an article; the answer is the article's title, the distractor
the title of another article of its category. Which articles it took is not published, so these are others.
"""

from __future__ import annotations

import hashlib
import html
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.sources.distractors import spelling
from radar_tasks.sources.drafts import Builder, Draft, candidates
from radar_tasks.sources.own_table import PROMPT
from radar_tasks.sources.pictures import MAX_FILE_BYTES
from radar_tasks.sources.polite_client import PoliteClient
from radar_tasks.sources.source_reader import STAND_IN, Rejected, stable_choice

WIKIPEDIA = "https://en.wikipedia.org/w/api.php"
COMMONS = "https://commons.wikimedia.org/w/api.php"

CATEGORIES: dict[str, tuple[str, ...]] = {
    "wiki_animal": (
        *("Mammals of Africa", "Mammals of Asia", "Birds of Europe", "Birds of North America"),
        *("Reptiles of Asia", "Amphibians of North America", "Fish of the Atlantic Ocean", "Butterflies of Europe"),
    ),
    "wiki_plant": (
        *("Garden plants of Europe", "Garden plants of Asia", "Garden plants of North America", "Ornamental trees"),
        *("Edible fruits", "Leaf vegetables", "Root vegetables", "Medicinal plants of Asia"),
    ),
    "wiki_celebrity": (
        *("Best Actor Academy Award winners", "Best Actress Academy Award winners", "FIFA World Cup-winning players"),
        *("Nobel laureates in Physics", "Nobel laureates in Literature", "Grammy Lifetime Achievement Award winners"),
    ),
    "wiki_attraction": (
        *("World Heritage Sites in Italy", "World Heritage Sites in France", "World Heritage Sites in Spain"),
        *("World Heritage Sites in China", "World Heritage Sites in India", "World Heritage Sites in Germany"),
        *("World Heritage Sites in Japan", "World Heritage Sites in Mexico"),
    ),
}
"""Categories of the English Wikipedia whose articles become questions."""

WIDTH = 1024
"""Pixels that pictures are fetched in: servers are asked for no more than a model will see."""

MEMBERS = 1000
"""Articles of a category that are looked at."""

_BATCH = 50
_PICTURES = ("image/jpeg", "image/png", "image/webp")
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class _Article:
    title: str
    file: str


@dataclass(frozen=True)
class _Picture:
    url: str
    credit: str


class WikiSource:
    """One of the four, as a `source_reader.SourceReader`; its questions are marked as stand-ins.

    Args:
        source: `wiki_animal`, `wiki_plant`, `wiki_celebrity` or `wiki_attraction`.
        client: asks the servers and keeps what they answer.
        count: questions at most, by default as many as the paper has; the same share from each category.
        wikipedia, commons: the addresses of the two servers' interfaces.
    """

    kind: Literal["public"] = "public"
    location = "en.wikipedia.org, commons.wikimedia.org"

    def __init__(
        self,
        source: str,
        client: PoliteClient,
        count: int | None = None,
        wikipedia: str = WIKIPEDIA,
        commons: str = COMMONS,
    ) -> None:
        if source not in CATEGORIES:
            raise DataError(f"{source!r} is not made from Wikipedia; these are: {', '.join(CATEGORIES)}")
        self.source = source
        self._client = client
        self._wikipedia, self._commons = wikipedia, commons
        published = PUBLISHED[source]
        self._count = count or published.count
        self._builder = Builder(source, published.ability, published.task)

    def fingerprint(self) -> str:
        """Digest of what is asked for. Wikipedia changes every day; what was answered once is kept by the client."""
        asked = f"{CATEGORIES[self.source]} {self._count} {WIDTH} {self._wikipedia} {self._commons}"
        return hashlib.sha256(asked.encode()).hexdigest()

    def __len__(self) -> int:
        return self._count

    def read(self) -> Iterator[Question | Rejected]:
        """The questions, category by category; see `source_reader.SourceReader`."""
        taken: set[str] = set()
        left = self._count
        for place, category in enumerate(CATEGORIES[self.source]):
            # What one category lacks the later ones make up for.
            share = -(-left // (len(CATEGORIES[self.source]) - place))
            found = itertools.islice(self._articles(category), MEMBERS)
            articles = [article for article in found if article.title not in taken]
            titles = sorted({article.title for article in articles})
            made = 0
            for article, picture in self._with_pictures(articles):
                others = [title for title in titles if spelling(title) != spelling(article.title)]
                if made == share or not others:
                    break
                taken.add(article.title)
                question = self._question(article, picture, category, others)
                made += isinstance(question, Question)
                yield question
            left -= made

    def _question(
        self, article: _Article, picture: _Picture, category: str, others: Sequence[str]
    ) -> Question | Rejected:
        q_id = article.title
        other = others[stable_choice(q_id, "distractor", len(others))]
        options, place, problems = candidates(q_id, article.title, [other])
        draft = Draft(
            q_id=q_id,
            file=f"{self.location}, {category}",
            text=(PROMPT,),
            pictures=(picture.url,),
            options=options,
            answer=place,
            category="",
            image_id=article.file,
            rule=f"{STAND_IN}another title of the category {category}; picture: {article.file}, {picture.credit}",
            problems=problems,
        )
        found = self._builder.build(draft, lambda url: self._client.file(url, MAX_FILE_BYTES))
        # A picture that is broken there is none of ours to repair.
        return Rejected(q_id, draft.file, left_out="a picture that cannot be used") if _is_bad(found) else found

    def _articles(self, category: str) -> Iterator[_Article]:
        """The articles of a category that have a free lead image, in the server's order; lists are none."""
        asked = {
            "action": "query",
            "generator": "categorymembers",
            "gcmtitle": f"Category:{category}",
            "gcmnamespace": "0",
            "gcmlimit": str(_BATCH),
            "prop": "pageimages",
            "piprop": "name",
            "pilicense": "free",
            "pilimit": str(_BATCH),
        }
        for page in self._pages(self._wikipedia, asked):
            title = re.sub(r" \([^)]*\)$", "", str(page.get("title", "")))
            if page.get("pageimage") and title and not title.startswith("List of "):
                yield _Article(title, f"File:{page['pageimage']}")

    def _with_pictures(self, articles: Sequence[_Article]) -> Iterator[tuple[_Article, _Picture]]:
        """The articles whose image is a photograph or drawing on Commons, with a licence."""
        for start in range(0, len(articles), _BATCH):
            batch = articles[start : start + _BATCH]
            asked = {
                "action": "query",
                "titles": "|".join(article.file for article in batch),
                "prop": "imageinfo",
                "iiprop": "url|mime|extmetadata",
                "iiurlwidth": str(WIDTH),
                "iiextmetadatafilter": "LicenseShortName|Artist",
            }
            pages = {_file_name(page.get("title", "")): page for page in self._pages(self._commons, asked)}
            for article in batch:
                if picture := _picture_of(pages.get(_file_name(article.file), {})):
                    yield article, picture

    def _pages(self, api: str, asked: dict[str, str]) -> Iterator[dict[str, Any]]:
        common = {"format": "json", "formatversion": "2", "maxlag": "5"}
        more: dict[str, str] = {}
        while True:
            answer = self._client.json(api, {**common, **asked, **more})
            if not isinstance(answer, dict):
                raise DataError(f"{api} gives an answer that its interface does not describe")
            query, further = answer.get("query"), answer.get("continue")
            pages = query.get("pages") if isinstance(query, dict) else None
            yield from (page for page in pages or () if isinstance(page, dict))
            if not isinstance(further, dict):
                return
            more = {str(name): str(value) for name, value in further.items()}


def _picture_of(page: dict[str, Any]) -> _Picture | None:
    try:
        about = page["imageinfo"][0]
        licence = about["extmetadata"]["LicenseShortName"]["value"]
        url = about.get("thumburl") or about["url"]
    except (KeyError, IndexError, TypeError):
        return None
    if about.get("mime") not in _PICTURES:
        return None  # a map or a diagram as SVG, a film
    artist = about["extmetadata"].get("Artist", {}).get("value", "unknown")
    return _Picture(str(url), f"{_plain(licence)}, by {_plain(artist)}, Wikimedia Commons")


def _plain(text: Any) -> str:
    return " ".join(html.unescape(_TAG.sub(" ", str(text))).split())[:200]


def _file_name(title: str) -> str:
    return title.replace("_", " ")


def _is_bad(found: Question | Rejected) -> bool:
    return isinstance(found, Rejected) and bool(found.reasons)
