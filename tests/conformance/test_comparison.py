"""Tests of the comparison itself: it has to see a difference where there is one.

What it is: the proof that `shape.py` and `explained.py` can fail. Needs no keystone.
Called by hand and by the test suite: python3 -m unittest discover -s tests/conformance
"""

import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from explained import BadEntry, Explained
from identity_world import Answer
from shape import Difference, Masks, compare, masked

USER = "0123456789abcdef0123456789abcdef"


def world(identity, suffix, url):
    """What masks need of a world."""
    return SimpleNamespace(ids={"alice": identity}, suffix=suffix, url=url)


def tree(answer, identity=USER, suffix="aaaa", url="http://one/identity"):
    """An answer as it is compared."""
    return masked(answer, Masks(world(identity, suffix, url)))


def answer(body, status=200, **headers):
    """An answer with JSON headers."""
    return Answer(status, {"content-type": "application/json", **headers}, body)


class Comparing(unittest.TestCase):
    """`compare` over `masked`."""

    def both(self, reference, ours):
        """The places at which two answers differ."""
        return [difference.at for difference in compare(tree(reference), tree(ours))]

    def test_the_same_answer_has_no_difference(self):
        self.assertEqual(self.both(answer({"a": [1, "x"]}), answer({"a": [1, "x"]})), [])

    def test_what_belongs_to_a_world_is_no_difference(self):
        one = answer({"user": {"id": USER, "name": "diff-alice-aaaa"}, "at": "2026-01-01T00:00:00Z",
                      "links": {"self": "http://one/identity/v3/users/" + USER}})
        other = USER[::-1]
        two = answer({"user": {"id": other, "name": "diff-alice-bbbb"},
                      "at": "2030-12-31T23:59:59Z",
                      "links": {"self": "http://two:9/identity/v3/users/" + other}})
        left, right = tree(one), tree(two, other, "bbbb", "http://two:9/identity")
        self.assertEqual(compare(left, right), [])

    def test_another_status_is_found(self):
        self.assertEqual(self.both(answer({}, 404), answer({}, 400)), ["status"])

    def test_success_instead_of_failure_is_one_difference(self):
        self.assertEqual(self.both(answer({"a": 1}, 201), answer({"error": {}}, 403)), ["status"])

    def test_a_missing_and_an_extra_key_are_found(self):
        self.assertEqual(self.both(answer({"a": {"b": 1}}), answer({"a": {"c": 1}})),
                         ["body.a.b", "body.a.c"])

    def test_another_type_and_another_word_are_found(self):
        self.assertEqual(self.both(answer({"a": None, "b": "x"}), answer({"a": "", "b": "y"})),
                         ["body.a", "body.b"])

    def test_true_is_not_one(self):
        self.assertEqual(self.both(answer({"a": True}), answer({"a": 1})), ["body.a"])

    def test_times_without_microseconds_are_another_form(self):
        self.assertEqual(self.both(answer({"a": "2026-01-01T00:00:00.000000Z"}),
                                   answer({"a": "2026-01-01T00:00:00Z"})), ["body.a"])

    def test_another_number_of_elements_is_found(self):
        self.assertEqual(self.both(answer({"a": [1]}), answer({"a": [1, 2]})), ["body.a"])

    def test_the_order_of_a_list_is_free(self):
        self.assertEqual(self.both(answer({"a": [1, 2]}), answer({"a": [2, 1]})), [])

    def test_the_catalog_may_hold_other_services_of_the_same_shape(self):
        one = answer({"catalog": [{"type": "identity", "endpoints": [{"url": "http://x"}]}]})
        two = answer({"catalog": [{"type": "compute", "endpoints": [{"url": "http://y"}]},
                                  {"type": "image", "endpoints": [{"url": "http://z"}]}]})
        self.assertEqual(self.both(one, two), [])
        bad = answer({"catalog": [{"type": "image", "endpoints": [{"url": None}]}]})
        self.assertEqual(self.both(one, bad), ["body.catalog[].endpoints[].url"])

    def test_a_missing_header_is_found(self):
        self.assertEqual(self.both(answer({}, 401, **{"www-authenticate": "Keystone uri=\"x\""}),
                                   answer({}, 401)), ["header.www-authenticate"])


class Explaining(unittest.TestCase):
    """`explained`."""

    def read(self, text):
        """A list from the text of its file."""
        with tempfile.TemporaryDirectory() as home:
            path = Path(home) / "list.toml"
            path.write_text(text)
            return Explained.read(path)

    def test_an_entry_allows_its_case_and_place_only(self):
        listed = self.read('[[difference]]\ncase = "token *"\nat = "body.roles[]"\nwhy = "w"\n')
        difference = Difference("body.roles[]", "1", "2")
        self.assertEqual(listed.reason("token new", difference), "w")
        self.assertIsNone(listed.reason("user new", difference))
        self.assertIsNone(listed.reason("token new", Difference("body.roles", "1", "2")))

    def test_an_entry_with_values_allows_those_only(self):
        listed = self.read('[[difference]]\ncase = "*"\nat = "status"\nkeystone = "500"\n'
                           'ours = "400"\nwhy = "w"\n')
        self.assertEqual(listed.reason("x", Difference("status", "500", "400")), "w")
        self.assertIsNone(listed.reason("x", Difference("status", "500", "404")))

    def test_an_entry_without_a_reason_is_refused(self):
        for why in ("", 'why = " "'):
            with self.assertRaises(BadEntry):
                self.read(f'[[difference]]\ncase = "*"\nat = "status"\n{why}\n')

    def test_an_entry_with_an_unknown_key_is_refused(self):
        with self.assertRaises(BadEntry):
            self.read('[[difference]]\ncase = "*"\nat = "*"\nwhy = "w"\nwehn = "x"\n')

    def test_an_entry_that_nothing_needed_is_named(self):
        listed = self.read('[[difference]]\ncase = "a"\nat = "b"\nwhy = "w"\n')
        self.assertEqual([entry.case for entry in listed.unused()], ["a"])
        listed.reason("a", Difference("b", "1", "2"))
        self.assertEqual(listed.unused(), [])


if __name__ == "__main__":
    unittest.main()
