"""Comments, docstrings, errors, pages: words that the field knows. (codespell sees to American spelling.)"""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("skae", "tests", "docs", "examples", ".")
PATHS = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).glob("*.*" if folder == "." else "**/*")
    if path.suffix in {".py", ".md", ".toml"}
    and path != Path(__file__)
    and not {"_build", "generated", "auto_examples", "api", "__pycache__"} & set(path.relative_to(ROOT).parts)
)

# What used to stand here or there, as a regular expression, and what a reader of scikit-learn or PyTorch expects.
NAMES = {  # anywhere, as identifiers
    r"Siblings|at_once": "ModuleEnsemble, is_batched",
    r"Blueprint": "ModuleSpec",
    r"LinearStart|linear_start": "LinearInit, linear_init",
    r"Moments|_moments": "FeatureStatistics, _optimizer_state",
    r"ScaledRows|RowDataset|WholeBatches": "ScaledReader, IndexedDataset, BatchLoader",
    r"CodeAxes|LinearPlus": "LatentTransform, LinearSkip",
    r"Outcome|sure_gain": "TrainingResult, significant_improvement",
    r"of_first|is_first|agreed": "broadcast_from_main, is_main_process, consistent_across_ranks",
    r"HOUSES|_is_foreign": "SEEDED_PACKAGES, _uses_user_code",
    r"(LEAST|MOST|WIDEST)_\w+": "MIN_, MAX_",
    r"revival|idle|warmth": "auxiliary_loss, steps_since_active, kl_weight",
    r"spared?": "unaffected",
    r"\w*refuse\w*": "raise_if_..., check_...",
    r"what_torch_sets_undone|usual_torch|in_kind|goes_on|_comes_to_start|_asked": "(plain names)",
    r"\w*rival\w*": "random_restart; practitioner, baseline",
    r"\w*_holes|holes_\w+|cell_losses|\w*(anew|by_hand|told|to_the_bit|goes?_on)\w*": "missing_..., plain names",
    r"\w*judge\w*|struck|stray|hopeless|culprit|as_it_(is|came)|test_what_\w+": "evaluate, corrupted, outlying, ...",
    r"start_blank|blank_losses|blank_rows": "start_at_zero, baseline_losses, all_missing",
}
WORDS = {  # in prose
    r"struck|strikes?|striking": "corrupted, corrupts, affected",
    r"sure|surely": "statistically significant, significantly",
    r"g[ia]ven? back|gives? back|giving back": "reconstructs, returns, restores",
    r"odd(?! (number|kernel|function|size|and even|length))": "anomalous, unusual",
    r"(go|goes|going|went|gone) on": "continues, resumes",
    r"by hand": "hand-written, manually",
    r"to the (same |last )?bits?|(the )?same bits|bits of": "bit-identical",
    r"held-out (rows|samples)": "validation samples",
    r"(training|test|validation|clean|noisy|new|complete|weighted|scaled|of all|other) rows?": "samples",
    r"one's own": "custom",
    r"walks?|walked|walking": "interpolate, traverse",
    r"stray|strays": "outlying",
    r"rather not|choose it": "avoid it when, use it when",
    r"stands? (for|beside|out|in|on|at)|stood|where PCA stands": "represents, is added to, replaces",
    r"holes?": "missing values",
    r"missing cells?": "missing values",
    r"by heart": "memorizes",
    r"so many|so much": "a given number of",
    r"told|tell apart|tells apart": "specified, distinguished",
    r"in the place of|in its place": "instead of",
    r"least and (the )?(greatest|most|largest)": "minimum and maximum",
    r"is worth|are worth": "equals, corresponds to",
    r"(it|this|that|which) pays": "is faster, is worthwhile",
    r"who(ever)? (watches|fits|reads|wants|asks)": "users who",
    r"answers? to|answered to": "responds to",
    r"(a )?shares? of (the|all|rows|samples|cells|features)": "fraction of",
    r"for ever": "indefinitely",
    r"such as are|such as is": "those that are",
    r"harm|harms|harmed": "affects, degrades",
    r"PCA's seat": "drop-in replacement for PCA",
    r"beside|side by side": "next to, compared with, together",
    r"of (its|their|your|our|his) own": "its own ..., separate, custom",
    r"rivals?": "baseline, competitor, other method",
    r"judged?s?|judging": "evaluates, compares",
    r"anew": "again",
    r"what [\w ]+ makes? of": "output of ... for",
    r"(comes?|came|amounts?) to": "equals, is",
    r"altogether": "in total, completely",
    r"pretend\w*|amiss|lest|to blame": "(plainer words)",
    r"there and back": "round trip",
    r"so few": "fewer than",
    r"(torch|PCA|skorch|scikit-learn|numpy)'s own": "that of PCA",
    r"but for": "except for, without",
    r"greatest|(?<!at )least(?![ -]squares)": "largest, smallest, maximum, minimum",
    r"likeliest": "most likely",
    r"nobody|whoever": "no user, users who",
    r"refus\w+": "rejects, raises ValueError for, does not support",
    r"(?<!LSTM )(?<!recurrent )(?<!notebook )(?<!')cells?(?! nuclei)(?!=| : )": "values, entries",
    r"once more|for nothing|as ever": "again, without effect, as before",
    r"(keeps?|kept) theirs|proves? nothing": "plain sentences",
    r"whatever (the|it|is|their)": "for any",
    r"fold after fold|ever (fewer|more)|in a moment|blown up|by luck|far out": "plain words",
    r"(must )?holds? (NaN|another|noisy|clean|two|what|ints?|\d)": "contains",
    r"what (it|they|comes) (takes?|costs?|gains?|says?|back|of)": "the time of, the cost of",
    r"(every|each) second time|in turns|bit for bit|own way|said before|somebody": "plain words",
    r"as one would|asks for|is asked|the like of|writes down|is said as|what is asked": "plain words",
    r"dialect": "(nothing)",
}


def prose(path):
    """Yield (line number, text): of a module its comments, docstrings, and strings with a space."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), start=1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_text = token.type == tokenize.COMMENT or (token.type == tokenize.STRING and " " in token.string)
        if is_text or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            yield from enumerate(token.string.splitlines(), start=token.start[0])


def found(path):
    names = re.compile("|".join(rf"(?<!\w)(?:{name})(?!\w)" for name in NAMES))
    words = re.compile("|".join(rf"(?<![\w`-])(?:{word})(?![\w`])" for word in WORDS), re.IGNORECASE)
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        yield from ((number, match.group()) for match in names.finditer(line))
    for number, line in prose(path):
        yield from ((number, match.group()) for match in words.finditer(line))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_words(path):
    faults = [f"line {number}: {word!r}" for number, word in sorted(set(found(path)))]
    assert not faults, (
        f"{path.name}: {len(faults)} words of which WORDS and NAMES name better ones: {', '.join(faults)}"
    )
