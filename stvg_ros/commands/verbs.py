# SPDX-License-Identifier: Apache-2.0

"""English verbs of what people and animals visibly do, with their forms."""

from __future__ import annotations

# Verbs whose third person is rarely a plural noun.
_PLAIN = frozenset(
    """
accelerate accept accompany adjust admire adopt answer approach argue arrange arrive ascend ask
assemble avoid beckon become beg begin believe bend bite blow board bounce bow brake breathe bring
bump burn buy call calm can caress carry catch change charge chase chat check cheer chew chop circle
clap clean climb close coach collapse collect comb come comfort communicate conduct continue cook
cough count cover crawl cross crouch cry cuddle cut cycle dance deliver depart descend dig dip dive
do drag draw dribble drink drive drop dry dust eat embrace enter erase escape examine exercise exit
explain fasten feed feel fetch fiddle fight fill find finish fix flap flip float fly fold follow
forget frown gallop gather gaze gesture get giggle give glance go grab greet grip groom grow gulp
hand hang happen hear help hide hit hold hop hug hurry ignore inspect inform interact introduce jog join
juggle jump keep kick kiss kneel knit knock laugh launch lay lead lean leap learn leave lecture let
lick lie lift light limp listen load lock look lose lower make march massage measure meet mix moan
mop mount move mow mumble nap navigate nod notice observe offer open order overtake pace pack paddle
paint pant pass pat pause pay pedal peel peer perform pet photograph pick piggyback pinch pitch
place play plug pluck point poke pose pour practice practise pray preach prepare present press
pretend proceed pull punch push put raise reach read ready receive recline recognize record release
remove repair repeat replace reply rest retrieve return ride rise roll row rub run rush sail salute
saw say scoop scramble scratch scream scroll scrub search see seem sell send serve set sew shake
shave shine shoot shout shovel show shrug shut sigh sing sip sit skate skateboard skip slap sleep
slice slide slip slow smell smile smoke snap sneak sneeze sniff snore speak spill spin spit split
spray spread sprint squat squeeze stagger stamp stand stare start startle stay steal step stir
stomp stop straighten stretch stroke stroll strum struggle study stumble suck surf sway sweat sweep
swim swing swipe take talk tap taste teach tear tell think throw tickle tie tighten tip tiptoe toss
touch tow train trip trot try tuck tug tumble turn twirl twist type unbutton unlock unpack untie
unwrap use vacuum visit vomit wait wake walk wander want warm wash watch water wave weigh weep
whisper whistle win wink wipe
    alight amble announce applaud arrange babble bake bark blink boil boo browse chant chatter chirp click
    crash collide crack curtsy dangle dial disembark dodge doze drift drill drown drum dunk elbow explore
    faint fall film flex flirt float floss flop fry gargle glare glide glue gobble gossip grate graze
    grill grind growl grumble hammer hatch haul heave hike hobble hoist honk hover howl huddle hum hurl
    imitate injure inhale interview jab jostle jump knead knot lather leash linger loiter lug lunge
    meditate meow mend moonwalk mourn narrate neigh nibble nudge orbit paddle parade park peek peep
    peddle perch pile pirouette polish pounce prance preen pretend prune purr quarrel queue rake rap
    refuel rehearse reverse rinse roam roar roast rock rotate salute saunter scamper scatter scold scowl
    screw sculpt shampoo shimmy shiver shove shower shuffle shriek signal sketch skid skip slam slither
    slouch slump slurp smash smear smirk smooch snatch snooze snorkel snowboard sob soar soak spar
    spank sparkle splash sprinkle squint squirm stack stomp storm strap stride strip strut stuff suckle
    sulk swallow swat swerve sled swirl tackle text thank tilt toast topple toss trample tremble trek
    trim trudge tumble twerk twirl undress unload unscrew unwind usher vault volley wag waddle
    wade wail waltz warn wash weld wheel whine whirl whip whisk wiggle wobble wriggle yank yodel zoom
    juggle kayak jaywalk jiggle moo bleat cradle cuff curl dab dazzle deal decorate deflate detach dice
    dismount drape dress duck dunk exhale fan fasten fence fetch fidget film fist flail flee flick
    fling flutter forge freeze frolic fumble gape gesticulate grapple greet handcuff heat hiss hitch
    hunch hunt hurdle inflate instruct jam jolt joke lasso latch lob lounge lurk mash massage mingle
    mock motion mutter nest nuzzle operate pad perspire plait play plead plow plunge polish pop pout
    preach prod propose punish pursue race raft rattle recoil refuse relax repeat retreat rummage
    rustle scrape scribble scuffle scurry seesaw serenade shed shelter shield shiver shorten shrink
    shuffle sift sing skim skip slash slump smack snarl sneak snip snuggle socialize spear squeal squirt
    stab stalk steer sting stoop straddle strangle strike struggle stumble submerge suckle surrender swaddle
    swap sweat swoop tangle tease teeter thread thrust thump tidy toddle towel trace trade trot tune
    unfold untangle unveil unzip wager waggle wait wake wander weave wed whack wield wince
     work worry wrap wrestle write yawn yell zip
    """.split()
)
# Verbs of looks and belonging: no action.
_STATIVE = "wear have own contain resemble belong hold carry need know like love"
# Third persons that are plural nouns at least as often.
MOSTLY_NOUN = frozenset(
    """
    hand step train water pet tie ring roll type board bow box can light order present record row
    set stamp coach tip brake comb cut drink face fly hook leave pack pass plug shave shovel slice
    spray tap tear book button charge exit grip lift lock mount picture press sip start stop surf
    switch wrap plant iron fish ski bat rest shop swing slide ride crowd group back
    """.split()
)
_IRREGULAR = """
become became become|begin began begun|bend bent bent|bite bit bitten|blow blew blown|
bring brought brought|buy bought bought|catch caught caught|come came come|cut cut cut|
dig dug dug|do did done|draw drew drawn|drink drank drunk|drive drove driven|eat ate eaten|
feed fed fed|feel felt felt|fight fought fought|find found found|fly flew flown|
forget forgot forgotten|get got got|give gave given|go went gone|grow grew grown|hang hung hung|
have had had|hear heard heard|hide hid hidden|hit hit hit|hold held held|keep kept kept|
kneel knelt knelt|know knew known|lay laid laid|lead led led|lean leant leant|leap leapt leapt|
leave left left|let let let|lie lay lain|light lit lit|lose lost lost|make made made|
meet met met|overtake overtook overtaken|pay paid paid|put put put|read read read|ride rode ridden|
rise rose risen|run ran run|say said said|see saw seen|sell sold sold|send sent sent|set set set|
sew sewed sewn|shake shook shaken|shine shone shone|shoot shot shot|show showed shown|
shut shut shut|sing sang sung|sit sat sat|sleep slept slept|slide slid slid|speak spoke spoken|
spin spun spun|spit spat spat|split split split|spread spread spread|stand stood stood|
steal stole stolen|sweep swept swept|swim swam swum|swing swung swung|take took taken|
teach taught taught|tear tore torn|tell told told|think thought thought|throw threw thrown|
wake woke woken|wear wore worn|weep wept wept|win won won|write wrote written|
understand understood understood|wind wound wound|
strike struck struck|fall fell fallen|swell swelled swollen|freeze froze frozen|
fling flung flung|flee fled fled|stride strode stridden|weave wove woven|thrust thrust thrust|
sting stung stung|stick stuck stuck|shrink shrank shrunk|bind bound bound
"""
_DOUBLING = frozenset(
    """
    beg bob can chat chop clap cut dig dip drag drop fan flap flip get grab grin grip hit hop hug
    jog knit let mop nap nod pat pet plug put rub run scrub set shop shrug shut sip sit skip slap
    slip snap spin spit split squat stir stop strum swim tap tip trip trot tug win wrap zip ship drum hum sob rap wag hug lug spar flop strip jab swat strap strum whip trim
    """.split()
)


def _forms(base: str) -> tuple[str, str, str]:
    """Third person, -ing and regular past of a verb."""
    if base.endswith(("s", "x", "z", "ch", "sh", "o")):
        third = f"{base}es"
    elif base.endswith("y") and base[-2] not in "aeiou":
        third = f"{base[:-1]}ies"
    else:
        third = f"{base}s"
    stem = base + base[-1] if base in _DOUBLING else base
    if base.endswith("ie"):
        ing = f"{base[:-2]}ying"
    elif base.endswith("e") and not base.endswith(("ee", "oe", "ye")):
        ing = f"{base[:-1]}ing"
    else:
        ing = f"{stem}ing"
    if base.endswith("e"):
        past = f"{base}d"
    elif base.endswith("y") and base[-2] not in "aeiou":
        past = f"{base[:-1]}ied"
    else:
        past = f"{stem}ed"
    return third, ing, past


def _all_forms() -> tuple[dict[str, set[str]], dict[str, str]]:
    tags: dict[str, set[str]] = {}
    bases: dict[str, str] = {}

    def add(word: str, tag: str, base: str) -> None:
        tags.setdefault(word, set()).add(tag)
        bases.setdefault(word, base)

    irregular = {}
    for entry in "".join(_IRREGULAR.split("\n")).split("|"):
        base, past, participle = entry.split()
        irregular[base] = (past, participle)
    for base in sorted({*_PLAIN, *_STATIVE.split(), *irregular, *MOSTLY_NOUN}):
        third, ing, regular = _forms(base)
        past, participle = irregular.get(base, (regular, regular))
        add(base, "BASE", base)
        add("has" if base == "have" else third, "THIRD", base)
        add(ing, "ING", base)
        add(past, "PAST", base)
        add(participle, "PART", base)
    return tags, bases


FORMS, BASES = _all_forms()
# Verbs of looks and belonging, by their base form.
STATIVE = frozenset("wear have own contain resemble belong need know like love".split())
# Static when a participle after the noun: "the man holding a cup who leaves".
HOLDING = frozenset("hold carry".split())
POSES = frozenset("sit stand lie kneel crouch squat lean recline".split())
# Participles that describe looks: "dressed in black", "the seated man".
STATIC_PARTICIPLES = frozenset(
    """
    dressed clad seated parked tied covered surrounded printed striped coloured colored called named
    located masked bearded dyed braided shaved tattooed decorated painted wrapped worn equipped
    filled made positioned situated bald-headed clothed attired armed hatted tucked rolled pierced
    """.split()
)
