"""Parses pages as HTML5 and prints every error: python3 tests/validate.py FILE..."""
import sys

import html5lib

# What HTML5 allows in an element beside text is more than a parser knows; ids are
# looked at here, since aria-labelledby and links lead to them.
wrong = 0
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as page:
        parser = html5lib.HTMLParser(namespaceHTMLElements=False)
        tree = parser.parse(page.read())
    for (line, column), error, data in parser.errors:
        print(f"{name}:{line}:{column}: {error} {data}")
        wrong += 1
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    for one in {one for one in ids if ids.count(one) > 1}:
        print(f"{name}: the id {one} is there twice")
        wrong += 1
    for element in tree.iter():
        named = (element.get("aria-labelledby") or "").split()
        link = element.get("href") or ""
        for one in named + [link[1:]] * link.startswith("#"):
            if one and one not in ids:
                print(f"{name}: there is no id {one}")
                wrong += 1
sys.exit(1 if wrong else 0)
