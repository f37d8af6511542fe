# SPDX-License-Identifier: Apache-2.0

"""Phrases that address a robot, ask, or order, as sequences of words.

Contractions are expanded, as in `Token.word`: "let's" is "let is", "I'd" is "i would".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stvg_ros.commands.tokens import Token
from stvg_ros.commands.wordlist import word_set

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Phrases:
    """A set of phrases, indexed by first or last word; the longest match wins."""

    all: tuple[Phrase, ...]
    by_first: Mapping[str, tuple[Phrase, ...]]
    by_last: Mapping[str, tuple[Phrase, ...]]


def phrases(*lines: str) -> Phrases:
    """Phrases separated by "|"."""
    found = {tuple(phrase.split()) for line in lines for phrase in line.split("|")}
    ordered = tuple(sorted((p for p in found if p), key=lambda p: (-len(p), p)))
    first: dict[str, tuple[Phrase, ...]] = {}
    last: dict[str, tuple[Phrase, ...]] = {}
    for phrase in ordered:
        first[phrase[0]] = (*first.get(phrase[0], ()), phrase)
        last[phrase[-1]] = (*last.get(phrase[-1], ()), phrase)
    return Phrases(ordered, first, last)


def starts(words: Sequence[Token], options: Phrases, at: int = 0) -> int:
    """Length of the longest phrase at an index; 0 if there is none."""
    if at >= len(words):
        return 0
    for phrase in options.by_first.get(words[at].word, ()):
        if tuple(token.word for token in words[at : at + len(phrase)]) == phrase:
            return len(phrase)
    return 0


ADDRESS = phrases(
    *(
        f"{come} {way} and"
        for come in ("come", "get", "walk", "go", "move", "run", "drive", "turn", "look", "step")
        for way in (
            "over",
            "here",
            "there",
            "over here",
            "over there",
            "with me",
            "back",
            "on",
            "along",
            "around",
            "closer",
            "outside",
            "inside",
            "in",
            "out",
            "up",
        )
    ),
    "make sure that you|make sure to|be sure that you|ensure that you|"
    "you are asked to|you are required to|i would ask you to|it is your task to|"
    "i would be happy if you could|can somebody|can someone|could somebody|could someone|"
    "would someone|could anyone|can anyone|let me see if you can|time to|i expect you to",
    "hey|hi|hello|ok|okay|alright|all right|well|so|now|please|kindly|robot|excuse me|listen|yes|"
    "and|then|first|first of all|just|maybe|perhaps|possibly|quickly|dear robot|hey there|oh|right|"
    "good morning|good evening|good afternoon|come on|quick|there|also|next|sorry|attention|buddy|"
    "mate|pal|friend|my friend|dude|sir|honey|dear|basically|actually|anyway|right now|hm|yo",
    "can you|could you|would you|will you|can we|could we|may you|would you mind|do you mind|"
    "would you be able to|are you able to|would you be so kind as to|would you be kind enough to|"
    "would it be possible to|is it possible to|would it be possible for you to|might you|"
    "you can|you could|you should|you must|you have to|you need to|you are to|you will|"
    "do you think you could|do you think you can|why do not you|i wonder if you could",
    "i want you to|i need you to|i would like you to|i want to|i need to|i would like to|i like to|"
    "i am trying to|i was wondering if you could|i would appreciate it if you could|"
    "i would be grateful if you could|i would love you to|i need your help to|i have to|"
    "it would be great if you could|it would be nice if you could|i ask you to|i command you to|"
    "i need help to|i will need you to|i am asking you to|i hope you can",
    "how are you|how are you doing|how are you today|if you can|if possible|"
    "if you do not mind|"
    "if you please|if you would|nice to meet you|i hope you are well|when you can|"
    "help me|help me to|try to|try and|attempt to|go ahead and|your task is to|your job is to|"
    "your mission is to|let is|let us|make sure to|make sure you|be sure to|do me a favor and|"
    "do me a favour and|go and|come here and|come over here and|come and|get up and|start to|"
    "be so kind as to|be so kind and|feel free to|remember to|use your camera to|"
    "use your camera and|use the camera to|look around and|take a look and|have a look and|"
    "i think|i believe|i guess|i think that|"
    "go out and|go there and|the task is to|here is what i need|could i ask you to|"
    "be a dear and|be a darling and|be so good as to|be so kind to|be nice and|be good and|"
    "do us a favor and|do us a favour and|i was wondering whether you could|i wonder whether you "
    "could|i would be very grateful if you could|i would be glad if you could|if you would be so "
    "kind|if you would be so kind as to|it is not too much trouble|if it is not too much trouble|"
    "if it is no trouble|if you would not mind|make yourself useful and|can you help me|"
    "can you help me to|could you help me|could you help me to|i need your help|i need help|"
    "any idea|do you have any idea|have you any idea|any clue|have you got any idea|"
    "is there any chance you could|is there any chance you can|is there any way you could|"
    "is there a chance you could|any chance you could|any chance you can|you there|"
    "is there any chance that you could|can i ask you to|may i ask you to|what i need is|"
    "i request that you|continue to",
)
WISH_TO_KNOW = phrases(
    "i would like to know|i want to know|i need to know|i wish to know|i would love to know|"
    "i am curious|i am interested in|i wonder|i am wondering|can you say|could you say|"
    "could you tell me|can you tell me|would you tell me|i would like you to tell me"
)
FIND = phrases(
    *(
        f"{have} {seen}"
        for have in [
            f"{have} {who}"
            for have in ("has", "have", "did")
            for who in ("you", "anyone", "anybody", "someone", "somebody", "any of you")
        ]
        for seen in (
            "seen",
            "noticed",
            "spotted",
            "met",
            "found",
            "come across",
            "see",
            "notice",
            "spot",
            "meet",
            "find",
            "perhaps seen",
            "happened to see",
            "happen to see",
        )
    ),
    *(
        f"{am} {looking}"
        for am in (
            "i am",
            "we are",
            "i was",
            "we were",
            "i have been",
            "we have been",
            "i am still",
        )
        for looking in (
            "looking for",
            "searching for",
            "after",
            "trying to find",
            "hunting for",
            "trying to spot",
            "trying to locate",
            "looking to find",
            "seeking",
        )
    ),
    "find|find me|find out|bring me|"
    "locate|look for|look at|look out for|search for|search|seek|seek out|"
    "spot|identify|detect|recognize|recognise|track down|show|show me|point at|point to|point out|"
    "point me to|bring me to|take me to|lead me to|guide me to|direct me to|escort me to|see|get|"
    "go to|go get|get me|get to|give me|pick out|pick|approach|reach|check on|hunt for|hunt down|"
    "have a look for|have a look at|take a look at|keep looking for|discover|select|highlight|mark|"
    "where is|where are|where was|where were|where can i find|where do i find|where do you see|"
    "tell me where is|i see|i saw|do you know where is|visit|go see|go up to|walk up to|walk to|"
    "move to|come to|drive to|head to|head over to|go over to|scan for|watch|observe|ground|"
    "get the attention of|catch the attention of|turn to|face|"
    "find and show me|find and show",
    "looking for|searching for|finding|locating|looking at|showing me|seeking|i am looking for|"
    "i am searching for|i am after|i lost|i have lost|i am seeking|i want|i need|i would like|"
    "have you come across|did you come across|have you run into|have you bumped into|"
    "have you seen|did you see|have you noticed|did you notice|have you spotted|has anyone seen|"
    "has anybody seen|has someone seen|do you know|i cannot find|i can not find|we are looking for|"
    "we are searching for|we need to find|spotting|pointing at|identifying|pointing out",
)
SEARCH = phrases(
    "search|search in|search through|search around|look around|look around in|look in|look through|"
    "look inside|look|check|check in|scan|explore|inspect|scour|go through|have a look in|"
    "have a look around|take a look in|take a look around|go around"
)
FOLLOW = phrases(
    "follow|track|keep following|keep tracking|go after|keep an eye on|stay with|stay behind|"
    "walk behind|chase|tail|trail|following|tracking|start following|start tracking|pursue|"
    "keep track of|keep up with|run after|walk after|go with|walk with|go behind|stick with|"
    "stay close to|walk along with|keep watching|shadow"
)
GREET = phrases(
    "greet|salute|welcome|say hello to|say hi to|say good morning to|say goodbye to|say bye to|"
    "introduce yourself to|wave at|wave to|wave back at|shake hands with|greeting|saluting|"
    "give a greeting to|offer a greeting to|extend a greeting to|give a salute to|say hey to|"
    "take a photo of|take a picture of|take a photograph of|take a video of|take a selfie with|"
    "take photos of|take pictures of|say welcome to|give your regards to|present yourself to|"
    "speak to|talk to|speak with|talk with"
)
GUIDE = phrases(
    "guide|escort|take|lead|accompany|bring|walk|usher|conduct|guiding|escorting|taking|leading|"
    "accompanying|bringing|show|direct|transport"
)
HAND_OVER = phrases("bring|give|deliver|hand|hand over|pass|take|carry|offer|serve|present|return")
TALK = phrases(
    "convey|communicate|provide|supply|notify|remind|warn|advise|tell|say|inform|let|announce|explain|report|recite|telling|saying|mention|state"
)
ANSWER = phrases(
    "answer|respond to|reply to|answering|ask|take|address|resolve|handle|listen to|provide an "
    "answer to|give an answer to"
)
MEET = phrases("meet|meet with|meet up with|call|phone|meeting")
GO = phrases(
    *(
        f"{verb} {way}"
        for verb in [
            "go",
            "navigate",
            "head",
            "move",
            "drive",
            "walk",
            "travel",
            "proceed",
            "come",
            "get",
            "make your way",
            "run",
            "advance",
            "go over",
            "head over",
            "move over",
            "go back",
            "head back",
            "go on over",
            "go down",
            "go up",
            "make your way over",
            "find your way",
            "go on",
            "return",
            "relocate",
            "go straight",
            "roll",
            "transit",
        ]
        for way in ("to", "into", "toward", "towards", "inside", "in", "in to", "over to")
    ),
    "enter|visit|reach|approach|go|once you are in|once you are at|when you are in|"
    "once you get to|once you reach|when you get to|when you reach|once in|once at|after entering|"
    "after reaching|upon reaching|upon entering|after you reach|after going to|when in|when at|"
    "going to|navigating to|heading to|after you enter|when you enter|once you enter|"
    "after you get to|as soon as you get to|as soon as you are in|as soon as you reach|"
    "after arriving at|after arriving in|upon arriving at|upon arriving in|when you arrive at|"
    "when you arrive in|once you arrive at|once you arrive in|after you arrive at|"
    "after you arrive in|after you go to|once inside|as soon as you enter|after getting to",
)
HOW_MANY = phrases(
    "how many|count|count how many|count the number of|tell me how many|tell me the number of|"
    "what is the number of|what number of|report the number of|report how many|let me know how "
    "many|let me know the number of|find out how many|determine how many|check how many|counting|"
    "determine the number of|give me the number of|give me a count of|give me the count of|"
    "tell me the count of|find the number of|see how many|say how many|do you know how many|"
    "inform me how many|inform me of the number of|inform me of how many|inform me about the "
    "number of|do a count of|get a count of|i want to know how many|i would like to know how many|"
    "work out how many|figure out how many|provide the number of|provide me with the number of|"
    "report back how many|identify how many|state how many|do a headcount of|"
    "give me the total number of|give me the total count of|what is the total number of|"
    "count the total number of|find out the number of|tell me the total number of|"
    "let me know the total number of|count up|count all|"
    "report to me how many|report back the number of|tell us how many|report on how many"
)
WATCH = phrases(
    *(
        f"{tell} {when}"
        for tell in [
            "tell me",
            "let me know",
            "alert me",
            "notify me",
            "warn me",
            "inform me",
            "tell us",
            "signal me",
            "ping me",
            "call me",
            "wake me",
            "shout",
            "report",
            "remind me",
            "give me a sign",
            "say something",
            "message me",
        ]
        for when in (
            "when",
            "as soon as",
            "once",
            "whenever",
            "the moment",
            "every time",
            "each time",
        )
    ),
    "let me know if|alert me if|notify me if|warn me if|inform me if|call me if|wait for|"
    "wait until|wait till|watch for|watch out for|look out for when|be on the lookout for|"
    "keep watch for|keep watching for|keep an eye out for|say when|watch until|raise an alarm if|"
    "raise the alarm when|sound the alarm if|stop when|beep when|notice when",
)
EXISTS = phrases(
    "is there|are there|was there|were there|is there still|do you see|can you see|could you see|"
    "do you spot|do you notice|can you spot|can you find|tell me if there is|tell me if there are|"
    "tell me whether there is|tell me whether there are|check if there is|check if there are|"
    "check whether there is|check whether there are|see if there is|see if there are|"
    "see whether there is|look if there is|check for|let me know whether there is|verify that "
    "there is|verify whether there is|find out if there is|find out whether there is|"
    "does it look like there is|do we have|confirm whether there is|confirm that there is|"
    "has there been|"
    "tell me if you see|tell me whether you see|check if you see|see if you can find|"
    "see if you can see|see if you can spot|check if you can see|do you happen to see"
)
EXISTS_WHO = phrases(
    "is|are|was|were|does|do|did|has|have|can|will|tell me if|tell me whether|check if|"
    "check whether|see if|see whether|find out if|find out whether|let me know whether|verify if|"
    "verify that|verify whether|confirm that|confirm whether|confirm if"
)
THERE_IS = phrases(
    "there is|there are|there was|there were|i see|we see|here is|here are|you see|there should be|"
    "there must be|there might be|there may be|there will be|you will find|you will see|"
    "you should see|you should find|you can find"
)
TELL_ME = phrases(
    "get me|fetch me|obtain|learn|discover|establish|work out|tell me about|collect|"
    "find out for me|can you get|ask for|request",
    "tell me|what is|what are|report|report back|give me|let me know|find out|say|what was|"
    "describe|describe to me|identify|determine|i want to know|i would like to know|do you know|"
    "inform me of|inform me about|provide|provide me with|provide me|check|tell us|recognize|"
    "report to me|share|share with me|can you tell|figure out|what|which|state|name|detect|"
    "specify|relay|relay to me|note|look at",
)
INFO = {
    "name": "name",
    "names": "name",
    "pose": "pose",
    "poses": "pose",
    "posture": "pose",
    "body pose": "pose",
    "position": "pose",
    "gesture": "gesture",
    "gestures": "gesture",
    "clothes": "clothes",
    "clothing": "clothes",
    "outfit": "clothes",
    "garments": "clothes",
    "attire": "clothes",
    "appearance": "description",
    "looks": "description",
    "look": "description",
    "description": "description",
    "action": "action",
    "activity": "action",
}
DESCRIBE = phrases(
    "describe|describe to me|describe for me|tell me about|tell me something about|"
    "give me a description of|describing|what about|give a description of|provide a description "
    "of|tell me what you see of|explain to me what you see of|can you describe"
)
# Closings of an order; never part of a description.
CLOSING = phrases(
    "please|thanks|thank you|thank you very much|thank you so much|thanks a lot|many thanks|"
    "for me|thanks for watching|thank you for watching|thanks for your help|thank you robot|"
    "thanks robot|if you can|if you could|if possible|if you do not mind|if you please|will you|"
    "would you|could you|can you|okay|right away|immediately|as soon as possible|asap|at once|now|"
    "bye|goodbye|for us|cheers|hurry up|that is all|that is it|good luck|when you can|"
    "whenever you can|if you would|in the video|in this video|on the video|you know|i think|"
    "i guess|yeah|alright|have a nice day|much appreciated|i appreciate it|that would be great|"
    "that would be nice|if you see them|if you see him|if you see her"
)
# Tasks of a robot after finding the target.
ROBOT_VERBS = word_set("""
    tell say answer ask greet salute introduce guide escort lead take follow accompany bring give
    deliver hand report describe count let inform return come go show help wait stop find locate
    look search navigate announce respond reply offer serve pass stay keep move walk drive welcome
    shake wave call call remember take-note provide explain present assist point reply usher
    direct share state mention relay speak talk track join ensure make then proceed head pick
    place put get fetch grab turn deal recite address resolve meet send notify alert warn identify
    determine check monitor engage approach record conduct attend convey
    communicate teach read remind
    """)
# Verbs that do not describe visible actions.
STRONG_VERBS = word_set(
    "tell say answer ask greet salute introduce inform let report respond describe guide escort "
    "announce notify explain provide share assist relay state convey remind"
)
TALK_BEGINS = word_set("what something about your that how a an which who when where some")
TALK_NOUNS = word_set("time day date joke weather name country affiliation story week")
