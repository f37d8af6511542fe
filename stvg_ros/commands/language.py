# SPDX-License-Identifier: Apache-2.0

"""Detects the language of a sentence by its frequent words and its script."""

from __future__ import annotations

import re
import unicodedata

from stvg_ros.commands.wordlist import word_set

_WORDS = {
    "German": "der die das den dem des ein eine einen einem einer und ist sind nicht mit von zu "
    "auf im am bei sich ich wir mich mir bitte finde suche suchen folge folgen zeige zeig such "
    "wer wo wie viele person personen mann frau kind junge mädchen hemd rot roten rotem blauen "
    "grünen schwarzen weißen tragen trägt winkt springt geht läuft steht sitzt küche wohnzimmer "
    "schlafzimmer für hat haben aus nach wenn welche welcher leute menschen kannst du sag dem "
    "winkende winkenden sitzende wieviele gibt es jemand hose jacke mir wenn ob hut haare links "
    "rechts",
    "French": "le la les un une des du de et est sont dans avec pour qui que où trouve trouver "
    "trouvez cherche cherchez chercher suis suivez suivre montre aux au moi une homme femme fille "
    "garçon enfant personne personnes rouge bleu bleue vert noir blanc porte portent saute danse "
    "dansent assis debout cuisine salon chambre bureau filles cheveux longs plaît vous s'il ce "
    "cette combien sur en je tu il elle nous lui dis veste chemise quand quelqu gauche droite "
    "chapeau",
    "Spanish": "el la los las un una unos unas de del y es son en con por para que quien quién "
    "donde dónde encuentra encontrar busca buscar sigue seguir muestra a al persona personas "
    "hombre mujer niño niña chico chica camisa camisas roja rojo rojas azul verde negro blanco "
    "lleva llevan salta saltan baila corre sentado cocina sala salón cuántas cuántos por favor me "
    "está están hay dile chaqueta alguien cuando avísame dime entra caiga se dónde más "
    "muy gente quiero gorra vestido pelo",
    "Italian": "il lo la gli le un una uno di del della dei e è sono in con per che chi dove trova "
    "trovare cerca cercare segui mostra mostrami persona persone uomo donna ragazzo ragazza "
    "bambino maglietta rosso rossa blu verde nero bianco indossa salta balla corre cucina sala "
    "quante quanti favore nel nella dal alla si mi ci giacca camicia",
    "Portuguese": "o os as um uma de do da dos das e é são em no na com por para que quem onde "
    "encontre encontra procure siga mostre pessoa pessoas homem mulher menino menina camisa "
    "vermelha vermelho azul verde preto branco veste pula dança corre cozinha sala quarto "
    "quantas favor está ao à jaqueta",
    "Dutch": "de het een en is zijn in met van voor die dat wie waar vind zoek volg toon op naar "
    "persoon personen man vrouw jongen meisje kind hemd shirt rood rode blauw blauwe groene zwart "
    "wit draagt springt loopt staat zit keuken woonkamer slaapkamer hoeveel alstublieft niet aan "
    "ik je mij mensen jas zwaait",
    "Polish": "znajdź szukaj pokaż kto gdzie ile osób osoba osobę osoby mężczyzna mężczyznę "
    "kobieta kobietę chłopiec chłopca dziewczyna dziewczynę dziecko w na z do i jest są który "
    "która które czerwonej czerwony czerwoną niebieski niebieskiej kurtce koszuli sukience "
    "macha siedzi stoi idzie proszę mi się nie kuchni",
    "Swedish": "hitta följ visa vem var hur många personen person mannen kvinnan pojken flickan "
    "barnet i den det en ett och är som med röd röda blå blåa gröna svarta vita jackan "
    "skjortan klänningen vinkar sitter står går springer köket inte på till",
    "Danish": "find følg vis hvem hvor mange personen manden kvinden drengen pigen barnet den "
    "det en et og er som med rød røde blå grønne sorte hvide jakke skjorte kjole vinker "
    "sidder står går løber køkkenet ikke på til",
    "Norwegian": "finn følg vis hvem hvor mange personen mannen kvinnen gutten jenta barnet den "
    "det en et og er som med rød røde blå grønne svarte hvite jakke skjorte kjole vinker "
    "sitter står går løper kjøkkenet ikke på til",
    "Turkish": "bul takip et göster kim nerede kaç kişi kişiyi adamı adam kadını kadın çocuğu "
    "çocuk kızı bir ve olan kırmızı mavi yeşil siyah beyaz ceketli gömlekli elbiseli şapkalı "
    "sallayan oturan duran yürüyen koşan mutfakta lütfen bana",
    "Czech": "najdi hledej ukaž kdo kde kolik lidí osoba osobu muž muže žena ženu chlapec "
    "chlapce dívka dívku dítě v na s do a je jsou který která které červené červený modré "
    "modrý bundě košili šatech mává sedí stojí jde prosím mi se kuchyni",
}
_ENGLISH = word_set("""
    the a an of to and is are in on at with for who that which where what how many find follow
    person people man woman boy girl child he she it him her his their them this these someone
    somebody anyone from me you your my please tell show look locate wearing one not any was were
    does do did by up down left right red blue green white black yellow while then has have can
    could would adult kid lady guy there behind front next near by into out off as or but two
    three both robot t shirt shirt jacket waving standing sitting go take bring greet say count
    """)
_LISTS = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_LETTERS = re.compile(r"[^\W\d_]+")
# Scripts other than Latin, by the start of a letter's Unicode name.
_SCRIPTS = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CYRILLIC": "Russian",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "GREEK": "Greek",
    "DEVANAGARI": "Hindi",
    "THAI": "Thai",
}


def language_of(text: str) -> str:
    """The language's English name; "English" by default."""
    letters = [c for c in text if c.isalpha()][:400]
    foreign = [
        unicodedata.name(c, "").split(" ")[0] for c in letters if not c.isascii() and ord(c) > 0x24F
    ]
    if len(foreign) * 2 > len(letters) and letters:
        known = [_SCRIPTS[name] for name in foreign if name in _SCRIPTS]
        if "Japanese" in known:
            return "Japanese"
        return max(set(known), key=known.count) if known else "an unknown language"
    words = [word.lower() for word in _LETTERS.findall(text)][:160]
    english = sum(word in _ENGLISH for word in words)
    scores = {name: sum(word in known for word in words) for name, known in _LISTS.items()}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] < 2 and not english and len(words) > 2 and not text.isascii():
        return "an unknown language"
    # At least two words of the other language, and clearly more than English ones.
    if scores[best] >= 2 and scores[best] > english:
        return best
    return "English"
