"""Abbreviations and the words that begin sentences, per language: what a full stop means.

One list for the whole house. An abbreviation is written without its last stop. ``never`` end a sentence: something must
follow ("Dr. Smith", "bzw. war"). ``may`` end one ("5 p.m.", "usw."): then what follows decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from parley.text.languages import primary


@dataclass(frozen=True, slots=True)
class Stops:
    """What is known of one language's full stops."""

    never: frozenset[str]
    may: frozenset[str]
    openers: frozenset[str]
    """Words with which sentences begin, and hardly anything else does that is written with a capital."""
    ordinals: bool = False
    """A number with a stop is an ordinal: "3. Oktober"."""


_TITLES = "mr mrs ms mx dr prof st gen col maj capt lt sgt cpl gov sen rep rev hon pres supt insp cmdr adm messrs mmes"

_LISTS: dict[str, tuple[str, str, str, bool]] = {
    "en": (
        f"{_TITLES} vs e.g i.e approx fig eq vol ed eds pp cf viz al dept est mt ft ave blvd rd hwy",
        """etc inc ltd co corp llc jr sr no nos bros a.m p.m u.s u.k u.n e.u d.c ph.d b.sc m.sc b.a m.a jan feb mar apr
        jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sq min max hr hrs sec oz lb lbs""",
        """the a an i you he she it we they this that these those there here what who why when where how which if but
        and so or yet then now in on at as after before for from with however meanwhile finally also maybe perhaps
        please let don't do does did is are was were can could will would my your his her its our their no yes not
        one some many most all every each while although because since once to by today tomorrow yesterday""",
        False,
    ),
    "de": (
        """dr prof hr hrn fr frl st bzw z.b d.h u.a z.t ca evtl ggf inkl exkl zzgl abzgl bzgl gem lt vgl sog etw max min
        mind jmd nr tel str abs art bd hrsg dipl ing rer nat phil med jur mio mrd tsd geb gest verh o.g s.o s.u i.d.r
        i.a m.e u.u v.a o.ä.d z.zt kath ev allg bes betr einschl entspr ev jr jan feb mär apr jun jul aug sep sept okt
        nov dez""",
        "usw etc u.s.w usf n.chr v.chr uvm u.v.m o.ä u.ä d.j d.m sr art mo di mi do sa so",
        """der die das ein eine er sie es wir ich ihr du man dies diese dieser dieses und aber doch denn dann danach
        daher deshalb also auch wenn weil da als ob wie was wer wo wann warum wir nun jetzt heute morgen gestern hier
        dort in im an am auf bei mit nach von vor zu zum zur für nicht kein keine ja nein mein meine sein seine alle
        viele einige jeder jede jedes bitte vielleicht außerdem trotzdem allerdings""",
        True,
    ),
    "es": (
        """sr sra srta sres dr dra d dña prof profa lic ing arq gral cnel cap tte av avda c núm nº n pág págs p.ej ej
        vol fig aprox máx mín tel ud uds vd vds ee pp s ss""",
        "etc a.m p.m a.c d.c s.a s.l ee.uu cía ltda jr ene feb mar abr may jun jul ago sep sept oct nov dic",
        """el la los las un una unos unas yo tú él ella nosotros ellos ellas usted este esta esto ese esa eso y pero o
        porque que si cuando como donde quien qué quién cómo dónde por para en con de a al del no sí después antes
        luego entonces ahora hoy mañana ayer también además aquí allí es son hay mi tu su nuestro cada todo todos""",
        False,
    ),
    "fr": (
        """m mm mme mmes mlle mlles dr pr prof st ste me mgr gén col cap lt c.-à-d p.ex ex env av bd vol fig cf chap art
        tél n no nº éd max min pp p""",
        "etc s.a s.a.r.l av.j.-c ap.j.-c j.-c apr janv févr mars avr juil sept oct nov déc jr cie",
        """le la les l un une des je tu il elle on nous vous ils elles ce cet cette ces et mais ou donc or ni car que
        qui quoi quand comment où pourquoi si comme dans en à au aux de du pour par avec sans sur après avant puis
        alors maintenant aujourd'hui hier demain aussi c'est il y ne pas non oui mon ma mes ton son sa ses notre
        chaque tout tous cela ceci ici là""",
        False,
    ),
    "it": (
        "sig sigg sig.ra sig.na dott dott.ssa prof prof.ssa avv ing arch on gen col cap p.es es ca pag vol fig cfr tel "
        "n art max min ecc.ma s ss",
        "ecc a.c d.c s.p.a s.r.l gen feb mar apr mag giu lug ago set ott nov dic",
        """il lo la i gli le un uno una io tu lui lei noi voi loro questo questa quello e ma o perché che se quando come
        dove chi cosa in con su per da di a al del non sì poi dopo prima allora ora oggi domani ieri anche è sono c'è
        mio tuo suo ogni tutto tutti""",
        False,
    ),
    "pt": (
        "sr sra srta dr dra prof profa eng arq gen cel cap av r pág págs p.ex ex vol fig aprox tel n nº art",
        "etc a.c d.c s.a ltda cia jan fev mar abr mai jun jul ago set out nov dez",
        """o a os as um uma eu tu ele ela nós eles elas você vocês este esta isto esse essa isso e mas ou porque que se
        quando como onde quem em no na com por para de do da não sim depois antes então agora hoje amanhã ontem
        também é são há meu teu seu cada todo todos""",
        False,
    ),
    "nl": (
        "dhr mevr mw dr drs ir ing mr prof st bijv bv ca d.w.z o.a m.b.t t.a.v i.p.v i.v.m evt incl excl max min nr "
        "tel vgl resp zgn blz fig",
        "enz etc n.chr v.chr a.u.b jan feb mrt apr jun jul aug sep sept okt nov dec",
        """de het een ik jij je hij zij ze wij we jullie u dit dat deze die en maar of want dus als toen dan omdat wat
        wie waar wanneer hoe waarom in op aan bij met van voor naar niet geen ja nee nu vandaag morgen gisteren ook
        er hier daar mijn jouw zijn haar ons alle elke""",
        False,
    ),
    "pl": (
        "dr prof mgr inż ks św p pp pani ul al pl os m.in np tzn tzw ok ew nr tel str s wg im płk gen kpt red hab art "
        "ust",
        "itd itp r w n.e p.n.e zł gr godz min sek tys mln mld",
        """ja ty on ona ono my wy oni one to ten ta te i a ale lub albo bo że jeśli gdy kiedy jak gdzie kto co dlaczego
        w we na z ze do od po za nie tak teraz dziś jutro wczoraj potem także jest są każdy wszystko mój twój jego""",
        True,
    ),
    "sv": ("t.ex bl.a d.v.s dvs ca nr tel st fig s.k m.m.d f.d", "osv etc m.m e.kr f.kr kl",
           "jag du han hon den det vi ni de en ett och men eller att om när som vad vem var hur i på med för inte nu",
           False),
    "da": ("f.eks bl.a dvs ca nr tel hr fru dr prof st pga mht", "osv etc m.m e.kr f.kr kl",
           "jeg du han hun den det vi i de en et og men eller at hvis når som hvad hvem hvor på med for ikke nu", True),
    "no": ("f.eks bl.a dvs ca nr tel hr fru dr prof st pga mht", "osv etc m.m e.kr f.kr kl",
           "jeg du han hun den det vi dere de en et og men eller at hvis når som hva hvem hvor på med for ikke nå",
           True),
    "fi": ("esim ts ns ks vrt n nro puh prof tri rva hra mm.m", "jne ym yms eaa jaa klo",
           "minä sinä hän me te he se tämä ja mutta tai että jos kun mikä kuka missä ei nyt", True),
    "cs": ("např tzv tj dr prof ing mgr p sv ul č tel str ca cca resp popř", "atd apod n.l př.n.l hod min",
           "já ty on ona ono my vy oni to ten ta a ale nebo že když jak kde kdo co proč v na s z do ne ano teď", True),
    "hu": ("dr prof pl ill kb ún szt u tel id ifj özv sz", "stb st u.n",
           "a az én te ő mi ti ők ez és de vagy hogy ha mert mi ki hol mikor nem igen most", True),
    "tr": ("dr prof doç av sn bkz örn tel no cad sok mah apt", "vb vs m.ö m.s",
           "ben sen o biz siz onlar bu şu bir ve ama ya da eğer ne kim nerede nasıl hayır evet şimdi", True),
    "ru": ("г-н г-жа д-р проф акад им ул пр пл стр рис т.е т.к т.н напр см ср тел руб.м",
           "т.д т.п др г гг в вв н.э коп руб тыс млн млрд",
           "я ты он она оно мы вы они это этот эта и а но или что если когда как где кто почему в на с из не да нет",
           False),
    "uk": ("п-н д-р проф акад ім вул пл стор рис т.зв напр див пор тел", "т.д т.п ін р рр ст н.е грн коп тис млн млрд",
           "я ти він вона воно ми ви вони це цей ця і а але або що якщо коли як де хто чому в на з не так ні", False),
}  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@cache
def stops(language: str) -> Stops:
    """What is known of the language of a BCP 47 tag; titles and Latin abbreviations where nothing is."""
    never, may, openers, ordinals = _LISTS.get(primary(language), (f"{_TITLES} vs e.g i.e ca nr", "etc", "", False))
    return Stops(_words(never), _words(may), _words(openers), ordinals)


LANGUAGES = tuple(_LISTS)
"""The languages that have a list."""
