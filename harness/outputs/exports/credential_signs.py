"""What gives a credential away: the name that it stands under, or its look.

In: one name, or one text. Out: whether it is one. Must not know where it stands, nor repeat it.
"""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit


def _those(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words of a name that give a credential away, wherever they stand in it.
SECRET_WORDS = _those(
    "apikey authorization authtoken bearer cookie cookies credential credentials creds mnemonic passphrase "
    "passwd password passwords privatekey pwd secret"
)
# Words that do so as the last one of a name.
SECRET_ENDS = _those("jwt pass passcode passkey")
# What such a name may end with without being one: SMALL_SECRET_AI_MODEL is a provider's, API_KEY_ENV a name.
PLAIN_ENDS = _those("bytes env length model type url")
# What a key is of where it is to be kept secret, whatever follows: API_KEY_BACKUP.
SECRET_KEYS = _those("access api auth encryption master private secret service signing ssh")
# What a key, a pass or a seed is of where it is none that is to be kept secret. A bare key or seed is not
# either: its value has to say, as of the keys of a list and of the seeds of a sampler.
PLAIN_KEYS = _those(
    "answer cache child column context data escaped event field foreign group hash hot idempotency ignore "
    "index label lookup map message metadata object partition primary provider pub public publishable query "
    "range row run search sort storage trace translation type unique"
)
PLAIN_PASSES = _those("first high low one second two")
PLAIN_SEEDS = _those(
    "completion data default global image large medium model noise numpy optimizer random reasoning rng "
    "sample sampling search shuffle small split story text torch"
)
# Limits are counted in tokens, and vocabularies have some of their own.
PLAIN_TOKENS = _those("bos cls end eos first last mask max min next pad per sep start stop unk")
SECRET_TOKENS = _those("access api auth bearer bot csrf oauth refresh secret session")
# Words that say no more than that the value decides: an opaque one is a credential.
DOUBTFUL_ENDS = _those("auth key keys private seed session signature")
# Words of names whose opaque values everybody may see.
PUBLIC_WORDS = _those(
    "account address addresses contract hash id ids mint model models name pubkey public url user username "
    "voice voiceid wallet"
)
CREDENTIAL_VALUE = re.compile(
    r"""(?<!\w)(?:
        sk-[\w-]{16,} | [sr]k_(?:live_|test_|proj_)?[A-Za-z0-9]{16,} | whsec_[\w+/=]{16,}
        | gsk_\w{16,} | xai-\w{16,} | tgp_[\w-]{16,} | nvapi-[\w-]{16,} | tvly-[\w-]{16,}
        | (?:hf_|r8_|fw_|jina_|pplx-|csk-)[A-Za-z0-9]{16,} | fc-[0-9a-f]{24,}
        | gh[oprsu]_\w{16,} | github_pat_\w{16,} | glpat-[\w-]{16,}
        | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9]{16,}
        | xox[abeprs]-[\w-]{10,} | SG\.[\w-]{16,}\.[\w-]{16,} | ya29\.[\w-]{16,}
        | AKIA[0-9A-Z]{16} | AIza[\w-]{30,}
        | \d{8,10}:[\w-]{35}(?![\w-])
        | [MNO][\w-]{22,25}\.[\w-]{6}\.[\w-]{27,}
        | Bearer\s+(?=[\w.~+/-]*\d)[\w.~+/-]{16,}
        | eyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]{6,}
        | -----BEGIN\ (?:[A-Z]+\ )*PRIVATE\ KEY-----
        | [a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:[^/\s@]+@
        | https?://(?:\w+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/[\w-]{16,}
        | https?://hooks\.slack\.com/(?:services|workflows)/[\w/]{16,}
        | https?://[\w.-]+/v\d/(?=[\w-]*\d)[A-Za-z0-9_-]{28,}(?![\w/.-])
    )""",
    re.VERBOSE,
)
ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"'<>]+")
# A short name of whose key it is, then the key: any service's that is not in the list above.
PREFIXED = re.compile(r"(?<![\w/.-])[a-z]{2,8}[-_](?:[a-z0-9]{1,4}[-_])?([A-Za-z0-9]{24,})(?![\w-])")
OPAQUE = re.compile(r"[^\s:/]{12,}")
LONG_RUN = re.compile(r"[A-Za-z0-9]{24,}")
HEXADECIMAL = re.compile(r"(?:0x)?(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{32,}", re.IGNORECASE)
PHRASE = re.compile(r"(?:[a-z]{3,8} ){11,23}[a-z]{3,8}")  # BIP 39: 12 to 24 words of 3 to 8 letters


def names_credential(name: str) -> bool:
    """Whether a value under this name is a credential by it: API_TOKEN, DB_PASS, but not max_tokens."""
    words = ["", "", *_words(name)]
    kind, last = words[-2:]
    if last in PLAIN_ENDS:
        return False
    pairs = pairwise(words)
    return bool(
        not SECRET_WORDS.isdisjoint(words)
        or any(word in ("key", "keys") and before in SECRET_KEYS for before, word in pairs)
        or (last in ("key", "keys") and kind and kind not in PLAIN_KEYS)
        or (last == "token" and kind not in PLAIN_TOKENS)
        or (last == "tokens" and kind in SECRET_TOKENS)
        or (last == "seed" and kind and kind not in PLAIN_SEEDS)
        or (last == "phrase" and kind in ("seed", "recovery", "secret", "backup"))
        or (last in SECRET_ENDS and kind not in PLAIN_PASSES)
    )


def looks_secret(text: str) -> bool:
    """Whether a credential stands in this text, or an address with one."""
    if CREDENTIAL_VALUE.search(text) or any(_random(found) for found in PREFIXED.findall(text)):
        return True
    return any(names_credential(name) for address in ADDRESS.findall(text) for name, _ in parameters(address))


def opaque_under(name: str, text: str) -> bool:
    """Whether this text is one that means nothing to a reader, under a name that does not say it is public.

    Long random ones and phrases of wallets count under any other name, shorter ones where it is in doubt.
    """
    words = _words(name)
    if not PUBLIC_WORDS.isdisjoint(words):
        return False
    if HEXADECIMAL.fullmatch(text) or (LONG_RUN.fullmatch(text) and _random(text)) or PHRASE.fullmatch(text):
        return True
    doubtful = bool(words) and words[-1] in DOUBTFUL_ENDS
    return doubtful and OPAQUE.fullmatch(text) is not None and sum(map(str.isdigit, text)) > 1


def parameters(address: str) -> list[tuple[str, str]]:
    """The parameters in the query of this address, in order; none where it is no address."""
    try:
        return parse_qsl(urlsplit(address).query)
    except ValueError:  # a text that only begins like an address
        return []


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _random(text: str) -> bool:
    """Whether these letters and digits look drawn: kinds of characters change at two of five places.

    Of letters and digits drawn evenly, neighbours differ in kind (upper, lower, digit) at 62 of 100 places;
    in names written together, at the ends of words alone.
    """
    kinds = ["0" if one.isdigit() else "A" if one.isupper() else "a" for one in text]
    changes = sum(one != other for one, other in pairwise(kinds))
    return len(set(kinds)) == 3 and changes >= 0.4 * (len(text) - 1)
