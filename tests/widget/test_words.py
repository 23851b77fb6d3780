import re

import pytest

from rfwidget.widget.overlay import SETTABLE
from rfwidget.widget.words import _BUTTONS, _MAPS, TERMS, words_to_json


@pytest.mark.parametrize("axes", TERMS)
def test_no_rank_is_told_in_the_words_of_another(axes):
    told = str(words_to_json(axes))
    for other, terms in TERMS.items():
        for word in (terms.thing, terms.element):
            assert bool(re.search(rf"\b{word}\b", told)) == (other == axes), word


@pytest.mark.parametrize("axes", TERMS)
def test_every_switch_has_its_words_and_sets_something(axes):
    labels = words_to_json(axes)["labels"]
    assert set(labels).difference(_BUTTONS, _MAPS) <= set(SETTABLE)
    assert all(title for _, title in labels.values())
