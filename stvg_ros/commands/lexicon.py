# SPDX-License-Identifier: Apache-2.0

"""English word classes for descriptions of people and things."""

from __future__ import annotations

from functools import lru_cache

from stvg_ros.commands.wordlist import NUMBER_WORDS, word_set

DETERMINERS = word_set(
    "the a an this that these those some any another each every either neither no tbe such"
)
POSSESSIVES = word_set("my your his her its our their")
PREDETERMINERS = word_set("all both half")
NUMBERS = {word: number for number, word in enumerate(NUMBER_WORDS)} | {
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
}
ORDINALS = word_set("first second third fourth fifth sixth last next other same only") | {"1st"}
PREPOSITIONS = word_set(
    """
    in on at of to from with without by for near behind between beside besides under underneath over
    above below beneath across along through into onto inside outside around round past towards
    toward against among amongst amid opposite upon off down up out about after before during until
    since like via within beyond alongside atop except minus plus as than
    """
)
# Prepositions that are adverbs or particles if no noun phrase follows.
PARTICLES = word_set(
    "in on off up down out over around round past by through along across about inside outside "
    "behind under near"
)
SUBORDINATORS = word_set("while when whenever whereas because although though if once whilst where")
CONJUNCTIONS = word_set("and or but nor")
RELATIVES = word_set("who that which whom whose")
BE = word_set("is are was were be been being am")
HAVE = word_set("has have had")
DO = word_set("do does did")
MODALS = word_set("can could will would shall should may might must")
NEGATIONS = word_set("not never")
SUBJECT_PRONOUNS = word_set("he she it they i you we")
OBJECT_PRONOUNS = word_set("him them me us himself herself itself themselves each-other")
INDEFINITE = word_set(
    """
    someone somebody anyone anybody everyone everybody whoever whichever nobody no-one something
    anything everything noone
    """
)
ADVERBS = word_set(
    """
    again away back forward forwards backward backwards here there now then just still today
    together upstairs downstairs outdoors indoors outdoor indoor alone aside upward upwards downward
    downwards sideways ahead apart straight fast very too also always twice once soon later yet
    everywhere somewhere nearby abroad almost even currently right-now slightly hard motionless high
    low sometimes maybe perhaps quite really already ago immediately first-of-all afterwards
    """
)
COLOURS = word_set(
    """
    red blue green yellow black white orange gray grey brown pink purple violet beige tan navy
    turquoise gold golden silver cream khaki maroon burgundy teal cyan magenta olive lilac blond
    blonde brunette crimson scarlet indigo lavender mustard charcoal peach coral ivory plum rust
    ruby emerald aqua salmon fuchsia mint mauve bronze copper auburn ginger chestnut off-white
    bluish reddish greenish yellowish whitish brownish greyish grayish pinkish blackish
    """
)
COLOUR_SHADES = word_set("dark light pale bright deep neon pastel navy sky rose royal bottle")
PATTERNS = word_set(
    "striped plaid checked checkered checkered dotted spotted floral flowered patterned camouflage "
    "denim leather woolen woollen knitted hooded sleeveless transparent colorful colourful "
    "pinstripe pinstriped tartan flowery camo puffy quilted padded baggy ripped sequined glittery "
    "multicoloured multicolored multi-coloured multi-colored polka-dot polka-dotted high-vis"
)
SIZES = word_set(
    "tall short small big large little tiny huge giant thin slim fat chubby heavy skinny slender "
    "muscular stout plump obese lean-built tallest shortest smallest biggest largest"
)
ADJECTIVES = (
    word_set(
        """
        young old elderly older younger middle-aged male female pregnant bald bearded blind happy
        sad angry smiling-faced tired drunk sick naked topless shirtless barefoot barefooted
        handsome beautiful pretty ugly cute adult teenage long curly straight wavy short-haired
        long-haired left right front back upper lower high low new empty full open closed wooden
        metal plastic glass round square soft hot cold wet dry clean dirty dark light different
        similar nice good bad best worst white-haired grey-haired gray-haired red-haired
        dark-haired dark-skinned fair-skinned asian african chinese indian european american own
        single several many few more most much less whole main near far nearest closest farthest
        furthest leftmost rightmost middle central visible lonely busy quick slow quiet loud still
        fast
        strong weak rich poor formal casual military electric toy baby sports traditional thick
        ready asleep awake deaf injured hurt homeless stray furry fluffy unknown foreign local
        suspicious lost lovely standing-up present certain chubby haired balding dear elder
        """
    )
    | COLOURS
    | COLOUR_SHADES
    | PATTERNS
    | SIZES
)
_PERSON = """
person man woman boy girl child kid baby guy lady gentleman adult toddler teenager teen infant
player worker fellow dude bloke chap gal male female human individual student teacher doctor nurse
policeman policewoman officer police soldier waiter waitress chef cook driver rider cyclist biker
runner jogger dancer singer musician guitarist pianist drummer swimmer surfer skier snowboarder
skater skateboarder boxer wrestler referee coach player goalkeeper pitcher batter catcher pedestrian
passenger tourist visitor guest customer client shopper bystander stranger neighbour neighbor
colleague friend host hostess presenter reporter speaker performer actor actress artist painter
photographer cameraman clown bride groom groomsman bridesmaid priest nun monk king queen prince
princess cowboy firefighter fireman mechanic carpenter builder farmer gardener cleaner janitor
cashier barista bartender receptionist secretary scientist engineer operator technician guard
security thief robber burglar suspect victim patient granny grandpa grandma grandfather
grandmother mother father mom mum mommy mummy dad daddy parent son daughter brother sister uncle
aunt cousin nephew niece wife husband boyfriend girlfriend couple twin sibling mate buddy boss
somebody someone one figure pupil schoolboy schoolgirl newborn senior pensioner lad lass youngster
youth member volunteer employee staff leader winner loser patient biker hiker climber fisherman
hunter diver magician conductor violinist trainer instructor magistrate judge lawyer businessman
businesswoman salesman saleswoman shopkeeper seller vendor butcher baker model beggar pilot sailor
captain steward stewardess courier postman mailman delivery-man newcomer owner people folk crowd
group team family class audience
"""
PERSONS = word_set(_PERSON)
_PLURALS = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "people",
    "kids": "kid",
    "policemen": "policeman",
    "gentlemen": "gentleman",
    "firemen": "fireman",
    "wives": "wife",
    "ladies": "lady",
    "babies": "baby",
    "families": "family",
    "gentelmen": "gentleman",
    "persons": "person",
    "groomsmen": "groomsman",
    "businessmen": "businessman",
    "mice": "mouse",
    "geese": "goose",
    "sheep": "sheep",
    "folks": "folk",
    "fishermen": "fisherman",
    "feet": "foot",
    "teeth": "tooth",
    "knives": "knife",
    "shelves": "shelf",
    "scarves": "scarf",
    "policewomen": "policewoman",
    "bodies": "body",
    "puppies": "puppy",
    "ponies": "pony",
    "hoodies": "hoodie",
    "beanies": "beanie",
    "onesies": "onesie",
    "cookies": "cookie",
    "zombies": "zombie",
    "tutus": "tutu",
}
ANIMALS = word_set(
    """
    dog cat horse bird cow sheep goat pig animal puppy kitten rabbit hamster duck chicken bear lion
    tiger elephant monkey panda penguin turtle fish squirrel mouse rat fox wolf camel donkey pony
    kangaroo crocodile snake frog cattle antelope leopard stingray crab pet creature lizard parrot
    deer goose swan bull calf lamb doggy kitty pup squirrels
    """
)
VEHICLES = word_set(
    """
    car bus truck train bicycle bike motorcycle motorbike scooter van tractor taxi vehicle boat ship
    watercraft plane airplane aircraft helicopter robot drone skateboard tram ambulance kart
    forklift ball
    """
)
KIN = word_set(
    """
    mother father mom mum mommy mummy dad daddy granny grandpa grandma grandfather grandmother son
    daughter brother sister uncle aunt cousin nephew niece wife husband boyfriend girlfriend friend
    colleague boss neighbour neighbor teacher doctor mate buddy roommate flatmate parents kids
    children kid child baby family
    """
)
GARMENTS = word_set(
    """
    shirt blouse sweater coat jacket hoodie dress skirt suit vest jumper pullover cardigan top
    tank uniform robe gown kimono apron overall overalls trousers pants jeans shorts leggings
    tights sock socks shoe shoes boot boots sneakers heels sandals slippers hat cap helmet
    beanie hood scarf glove gloves tie bow belt glasses sunglasses goggles mask headphones
    earphones earring earrings necklace bracelet watch ring backpack rucksack bag handbag purse
    suitcase swimsuit bikini pyjamas pajamas raincoat waistcoat blazer polo tunic cloak poncho
    headscarf turban veil crown clothes clothing outfit costume armband bandana turtleneck hoody
    tee sleeves sweatshirt sweatpants tracksuit jersey bathrobe bib overcoat dungarees wellies sari
    scrubs trunks flip-flops anorak parka underwear leotard tutu cape hijab headdress tiara sombrero
    beret fedora windbreaker gilet sash stockings jumpsuit onesie nightgown chinos slacks loafers
    mittens earmuffs earbuds visor bonnet spectacles eyepatch briefcase satchel jumpers
    """
) | {"t shirt", "t shirts", "flip flops"}
ROOMS = word_set(
    """
    bedroom kitchen office bathroom hallway corridor garage lobby lounge study hall basement attic
    balcony terrace garden livingroom toilet restroom pantry cafeteria canteen classroom foyer
    cellar laboratory lab workshop library reception house apartment flat
    """
) | {
    "living room",
    "dining room",
    "laundry room",
    "meeting room",
    "conference room",
    "guest room",
    "waiting room",
    "dressing room",
    "bath room",
    "bed room",
    "sitting room",
    "utility room",
    "play room",
    "entrance hall",
    "front yard",
    "back yard",
    "next room",
    "other room",
    "washing room",
    "family room",
    "tv room",
    "room",
}
SPACES = ROOMS | word_set("street yard stage court field")  # which the camera looks into
FURNITURE = word_set(
    """
    bed shelf trashbin dishwasher chairs pantry refrigerator fridge sink cabinet coatrack desk
    armchair lamp sofa couch bookshelf bookcase entrance exit table chair counter cupboard wardrobe
    door window stove oven microwave tv television fireplace bench stool dresser drawer rack
    wastebasket plant trash bin nightstand sideboard shelves stairs elevator lift printer
    """
) | {
    "bedside table",
    "potted plant",
    "kitchen table",
    "desk lamp",
    "waste basket",
    "tv stand",
    "storage rack",
    "side tables",
    "side table",
    "trash bin",
    "trash can",
    "dining table",
    "coffee table",
    "coat rack",
    "book shelf",
    "front door",
    "back door",
    "washing machine",
    "kitchen counter",
    "kitchen sink",
    "kitchen cabinet",
    "office desk",
    "garbage bin",
    "garbage can",
    "rubbish bin",
    "floor lamp",
    "arm chair",
    "filing cabinet",
    "night table",
    "house plant",
    "tv set",
}
NOT_VERBS = word_set(
    """
    morning evening building ceiling painting king string thing earring clothing wing sibling spring
    railing earrings something anything nothing everything during viking duckling darling pudding
    piping lightning hands feet keys bags glasses pants
    """
)
# First names that speech may give without a capital.
NAMES = word_set("""
    adel angel axel charlie jane jules morgan paris robin simone alex sam max anna john james robert
    michael william david richard joseph thomas mary patricia jennifer linda elizabeth barbara susan
    jessica sarah karen lisa nancy emma olivia noah liam sophia lucas leo mia paul peter mark george
    steven kevin brian daniel laura julia kate alice bob carol dave eve frank grace henry jack kim
    leon marie nina oscar oliver tom tim ben chris pat skyler taylor jordan casey riley jamie
    ana carlos maria jose juan luis pedro pepper amelia benjamin emily ethan hannah isabella jacob
    joshua lily logan madison mason matthew samuel victoria
    """)
TEMPORAL = word_set("second seconds minute minutes hour hours moment moments while bit day days")


@lru_cache(maxsize=4096)
def singular(noun: str) -> str:
    """A noun's singular; the noun itself if it is singular."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith("ies") and len(noun) > 4:
        return f"{noun[:-3]}y"
    if noun.endswith(("sses", "shes", "ches", "xes")):
        return noun[:-2]
    if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) and len(noun) > 2:
        return noun[:-1]
    return noun


def is_plural(noun: str) -> bool:
    """Whether a noun's form is plural, which includes "people" and "crowd of ..."."""
    return noun in _PLURALS or (singular(noun) != noun)


def is_person(noun: str) -> bool:
    """Whether a noun names a person."""
    return noun in PERSONS or singular(noun) in PERSONS


def is_animate(noun: str) -> bool:
    """Whether a noun names a person or an animal."""
    return is_person(noun) or noun in ANIMALS or singular(noun) in ANIMALS


def moves(noun: str) -> bool:
    """Whether the noun names something that can act by itself: people, animals, vehicles."""
    return is_animate(noun) or noun in VEHICLES or singular(noun) in VEHICLES


def is_colour_compound(word: str) -> bool:
    """Whether a word joins colours or a shade and a colour: "light-blue", "red-and-white"."""
    parts = word.split("-")
    return len(parts) > 1 and all(
        part in COLOURS or part in COLOUR_SHADES or part == "and" for part in parts
    )
