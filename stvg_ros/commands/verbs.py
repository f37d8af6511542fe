# SPDX-License-Identifier: Apache-2.0

"""English verbs for visible actions of people and animals, with their forms."""

from __future__ import annotations

from stvg_ros.commands.wordlist import word_set

# Verbs whose third person is rarely a plural noun.
_PLAIN = word_set("""
    accelerate accept accompany act adjust admire adopt aim alight amble announce answer applaud
    approach argue arrange arrest arrive ascend ask assemble avoid babble bake bang barbecue
    bark beat beckon become beg begin believe bend bite bleat bleed bless blink blow blush board
    boil boo bounce bow braid brake break breathe bring browse bump burn burp buy call calm can
    caress carry carve catch celebrate change chant charge chase chat chatter check cheer chew
    chirp chop chuck circle clap clasp clean click climb clink close clutch coach collapse
    collect collide comb come comfort communicate conduct continue convey cook cough count cover
    crack cradle crash crawl creep crochet cross crouch cry cuddle cuff curl curtsy cut cycle
    dab dance dangle dash dazzle deal decorate deflate deliver demonstrate depart descend detach
    dial dice dig dip disembark dismount dive do dodge doze drag drain drape draw dress dribble
    drift drill drink drive drop drown drum dry duck dunk dust eat elbow embrace embroider enter
    erase escape examine exercise exhale exit explain explore faint fall fan fasten feed feel
    fence fetch fiddle fidget fight fill film find finish fist fix flail flap flee flex flick
    fling flip flirt float flop floss flush flutter fly fold follow forge forget freeze frolic
    frown fry fumble gallop gape gargle gasp gather gaze gesticulate gesture get giggle give
    glance glare glide glue gnaw go gobble gossip grab grapple grasp grate graze greet grill
    grin grind grip groom grow growl grumble gulp hammer hand handcuff hang happen harvest hatch
    haul hear heat heave heckle help hiccup hide hike hiss hit hitch hobble hoist hold honk
    hoover hop hover howl huddle hug hum hunch hunt hurdle hurl hurry ignite ignore imitate
    inflate inform inhale injure inspect instruct interact interview introduce jab jam jaywalk
    jiggle jog join joke jolt jostle juggle jump kayak keep kick kiss knead kneel knit knock
    knot lasso latch lather laugh launch lay lead lean leap learn leash leave lecture let lick
    lie lift light limp linger listen load lob lock loiter look lose lounge lower lug lunge lurk
    make march mash massage measure meditate meet mend meow mime mingle mix moan mock moo
    moonwalk mop motion mount mourn move mow mumble mutter nap narrate navigate neigh nest
    nibble nod notice nudge nuzzle observe offer open operate orbit order overtake pace pack pad
    paddle paint pant parade park pass pat pause pay pedal peddle peek peel peep peer perch
    perform perspire pet photograph pick piggyback pile pinch pirouette pitch pivot place plait
    play plead plow pluck plug plunge point poke polish pop pose pounce pour pout practice
    practise prance pray preach preen prepare present press pretend proceed prod propose protest
    prowl prune pull punch punish purr pursue push put quarrel queue race raft raise rake rap
    rattle reach read ready receive recline recognize recoil record refuel refuse rehearse relax
    release remove repair repeat replace reply rest retreat retrieve return reverse ride rinse
    rise roam roar roast rob rock roll rotate row rub rummage run rush rustle saddle sail salute
    saunter saw say scamper scatter scold scoop scowl scramble scrape scratch scream screw
    scribble scroll scrub scuffle sculpt scurry search see seek seem seesaw sell send serenade
    serve set sew shake shampoo shatter shave shear shed shelter shield shimmy shine shiver
    shoot shorten shout shove shovel show shower shriek shrink shrug shuffle shut sift sigh
    signal sing sip sit skate skateboard sketch skid skim skip slam slap slash sled sleep slice
    slide slip slither slouch slow slump slurp smack smash smear smell smile smirk smoke smooch
    snap snarl snatch sneak sneeze sniff snip snooze snore snorkel snowboard snuggle soak soar
    sob socialize somersault spank spar sparkle speak spear spill spin spit splash split spray
    spread sprinkle sprint spy squat squeal squeeze squint squirm squirt stab stack stagger
    stalk stamp stand stare start startle stay steal steer step sting stir stomp stoop stop
    storm straddle straighten strangle strap stretch stride strike strip stroke stroll struggle
    strum strut study stuff stumble submerge suck suckle sulk surf surrender swaddle swallow
    swap swat sway sweat sweep swerve swim swing swipe swirl swoop tackle take talk tangle tap
    taste teach tear tease teeter tell tend text thank think thread throw thrust thump tickle
    tidy tie tighten tilt tip tiptoe toast toddle topple toss touch tow towel trace trade train
    trample trek tremble trim trip trot trudge try tuck tug tumble tune turn twerk twirl twist
    type unbuckle unbutton undress unfasten unfold unload unlock unpack unscrew untangle untie
    unveil unwind unwrap unzip use usher vacuum vape vault visit volley vomit waddle wade wag
    wager waggle wail wait wake walk waltz wander want warm warn wash watch water wave weave wed
    weep weigh weld whack wheel whine whip whirl whisk whisper whistle wield wiggle win wince
    wink wipe wobble work worry wrap wrestle wriggle wring write yank yawn yell yodel zip zoom
    """)
# Verbs of appearance and possession: no action.
_STATIVE = "wear have own contain resemble belong hold carry need know like love"
# Third-person forms that are plural nouns at least as often.
MOSTLY_NOUN = word_set("""
    back bat bench block board book bow box brake brush button camp can charge coach comb crowd
    cut drink exit face fish fly grip group hand head hook host iron lace leave lift light lock
    mail mount nail order pack pass pet phone picture plant plug post present press record rest
    ride ring roll row sample score set shave shop shovel sign sip ski slice slide spray stamp
    start step stop surf swing switch tap tear tie tip train type water wrap
    """)
_IRREGULAR = """
become became become|begin began begun|bend bent bent|bite bit bitten|blow blew blown|
bring brought brought|buy bought bought|catch caught caught|come came come|cut cut cut|
dig dug dug|do did done|draw drew drawn|drink drank drunk|drive drove driven|eat ate eaten|
feed fed fed|feel felt felt|fight fought fought|find found found|fly flew flown|
forget forgot forgotten|get got got|give gave given|go went gone|grow grew grown|hang hung hung|
have had had|hear heard heard|hide hid hidden|hit hit hit|hold held held|keep kept kept|
kneel knelt knelt|know knew known|lay laid laid|lead led led|lean leant leant|leap leapt leapt|
leave left left|let let let|lie lay lain|light lit lit|lose lost lost|make made made|meet met met|
overtake overtook overtaken|pay paid paid|put put put|read read read|ride rode ridden|
rise rose risen|run ran run|say said said|see saw seen|sell sold sold|send sent sent|set set set|
sew sewed sewn|shake shook shaken|shine shone shone|shoot shot shot|show showed shown|
shut shut shut|sing sang sung|sit sat sat|sleep slept slept|slide slid slid|speak spoke spoken|
spin spun spun|spit spat spat|split split split|spread spread spread|stand stood stood|
steal stole stolen|sweep swept swept|swim swam swum|swing swung swung|take took taken|
teach taught taught|tear tore torn|tell told told|think thought thought|throw threw thrown|
wake woke woken|wear wore worn|weep wept wept|win won won|write wrote written|
understand understood understood|wind wound wound|strike struck struck|fall fell fallen|
swell swelled swollen|freeze froze frozen|fling flung flung|flee fled fled|stride strode stridden|
weave wove woven|thrust thrust thrust|sting stung stung|break broke broken|ring rang rung|
build built built|burst burst burst|choose chose chosen|cling clung clung|lend lent lent|
sink sank sunk|sling slung slung|spring sprang sprung|spend spent spent|speed sped sped|
spill spilt spilt|deal dealt dealt|burn burnt burnt|seek sought sought|beat beat beaten|
bleed bled bled|creep crept crept|wring wrung wrung|stick stuck stuck|shrink shrank shrunk|
bind bound bound
"""
_DOUBLING = word_set("""
    beg bob can chat chop clap cut dig dip drag drop drum fan flap flip flop get grab grin grip
    hit hop hug hum jab jog knit let lug mop nap nod pat pet plug put rap rob rub run scrub set ship
    shop shrug shut sip sit skip slap slip snap sob spar spin spit split squat stir stop strap
    strip strum swat swim tap tip trim trip trot tug wag whip win wrap zip
    """)


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
FORMS["sporting"], BASES["sporting"] = {"ING"}, "wear"  # but "sports" is a noun


def third_person(verb: str) -> str:
    """The third person of a verb in any form: "leaves" of "left"."""
    base = BASES.get(verb, verb)
    return "has" if base == "have" else _forms(base)[0]


# Verbs of appearance and possession, by their base form.
STATIVE = word_set("wear have own contain resemble belong need know like love")
# Static as a participle after the noun: "the man holding a cup who leaves".
HOLDING = word_set("hold carry")
POSES = word_set("sit stand lie kneel crouch squat lean recline")
# Participles that are attributes: "dressed in black", "the seated man".
STATIC_PARTICIPLES = word_set("""
    armed attired bald-headed bearded braided called clad clothed colored coloured covered
    decorated dressed dyed equipped filled hatted located made masked named painted parked
    pierced positioned printed rolled seated shaved situated striped surrounded tattooed tied
    tucked worn wrapped
    """)
