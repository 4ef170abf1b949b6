"""What the rules need to know of a language: its words for marks, units, money and months. Tables only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from parley.text.speech import numerals
from parley.text.speech.numerals import Numerals, listed

Forms = tuple[str, str]
"""Of one, and of many."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """One language."""

    numerals: Numerals
    thousands: str
    """Characters that stand between groups of three digits."""
    decimal: str
    point: str
    """What is said for the decimal mark."""
    minus: str
    plus: str
    to: str
    """Between the ends of a range."""
    of_times: str
    percent: str
    per_mille: str
    dot: str
    slash: str
    at: str
    dash: str
    underscore: str
    colon: str
    number_sign: str
    """For "#5" and "No. 5"."""
    conjunction: str
    equals: str
    about: str
    degrees: Forms
    months: tuple[str, ...]
    short_months: Mapping[str, int]
    halves: Mapping[tuple[int, int], str]
    """Fractions with words of their own."""
    and_a: str
    """Between a whole number and a fraction: "two and a half"."""
    units: Mapping[str, Forms]
    currencies: Mapping[str, tuple[Forms, Forms]]
    """By sign or code: the money, and its hundredths."""
    scales: Mapping[str, Forms]
    """Short forms behind an amount: "5 Mio. €"."""
    scale_joint: str = " "
    """Between a scale and a noun: "de" in "cinco millones de euros"."""
    abbreviations: Mapping[str, str] = field(default_factory=dict)
    """As written, without the last stop, in lower case."""
    feminine: frozenset[str] = frozenset()
    """Nouns of the tables that are."""


def _table(text: str) -> dict[str, Forms]:
    """``km kilometre kilometres; g gram grams``: a sign and its two forms, words of a form joined by an underscore."""
    found: dict[str, Forms] = {}
    for entry in text.split(";"):
        signs, one, *many = entry.split()
        for sign in signs.split("|"):
            found[sign] = (one.replace("_", " "), (many or [one])[0].replace("_", " "))
    return found


def _pairs(text: str) -> dict[str, str]:
    return {key.strip(): said.strip() for key, _, said in (entry.partition("=") for entry in text.split(";"))}


def _months(text: str) -> dict[str, int]:
    return {name: number for number, names in enumerate(text.split(), 1) for name in names.split("|")}


_EN_MONTHS = "January February March April May June July August September October November December"
_DE_MONTHS = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
_ES_MONTHS = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
_FR_MONTHS = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"

ENGLISH = Grammar(
    numerals.ENGLISH, ",", ".", "point", "minus", "plus", "to", "times", "percent", "per mille", "dot", "slash", "at",
    "dash", "underscore", "colon", "number", "and", "equals", "about", ("degree", "degrees"),
    tuple(_EN_MONTHS.split()),
    _months("jan feb mar apr may jun jul aug sep|sept oct nov dec"),
    {(1, 2): "one half", (1, 4): "one quarter", (3, 4): "three quarters"},
    "and",
    _table(
        """km kilometer kilometers; m meter meters; cm centimeter centimeters; mm millimeter millimeters;
        km² square_kilometer square_kilometers; m² square_meter square_meters; m³ cubic_meter cubic_meters;
        mi mile miles; ft foot feet; kg kilogram kilograms; g gram grams; mg milligram milligrams; t ton tons;
        lb|lbs pound pounds; oz ounce ounces; l|L liter liters; ml|mL milliliter milliliters;
        km/h|kph kilometer_per_hour kilometers_per_hour; mph mile_per_hour miles_per_hour;
        m/s meter_per_second meters_per_second; °C degree_Celsius degrees_Celsius;
        °F degree_Fahrenheit degrees_Fahrenheit; ° degree degrees; KB|kB kilobyte kilobytes; MB megabyte megabytes;
        GB gigabyte gigabytes; TB terabyte terabytes; Hz hertz; kHz kilohertz; MHz megahertz; GHz gigahertz;
        W watt watts; kW kilowatt kilowatts; kWh kilowatt_hour kilowatt_hours; V volt volts; A amp amps;
        mAh milliamp_hour milliamp_hours; ms millisecond milliseconds; s|sec second seconds; min minute minutes;
        h|hr|hrs hour hours; MB/s megabyte_per_second megabytes_per_second; Mbit/s megabit_per_second
        megabits_per_second; dB decibel decibels; px pixel pixels"""
    ),
    {
        "$": (("dollar", "dollars"), ("cent", "cents")), "€": (("euro", "euros"), ("cent", "cents")),
        "£": (("pound", "pounds"), ("penny", "pence")), "¥": (("yen", "yen"), ("sen", "sen")),
        "CHF": (("franc", "francs"), ("centime", "centimes")), "₹": (("rupee", "rupees"), ("paisa", "paise")),
    },
    _table(
        "k|K thousand; M|m|mn|mio|million|millions million; B|b|bn|billion|billions billion; trillion trillion"
    ),
    " ",
    _pairs(
        """mr = Mister; mrs = Missus; ms = Miz; dr = Doctor; prof = Professor; gen = General; col = Colonel;
        capt = Captain;
        lt = Lieutenant; sgt = Sergeant; gov = Governor; sen = Senator; rep = Representative; rev = Reverend;
        jr = Junior; sr = Senior; e.g = for example; i.e = that is; etc = et cetera; vs = versus;
        approx = approximately;
        inc = Incorporated; ltd = Limited; corp = Corporation; co = Company; dept = Department; est = established;
        fig = figure; vol = volume; min = minimum; max = maximum; a.m = A M; p.m = P M; u.s = U S; u.k = U K;
        u.n = U N; e.u = E U; d.c = D C; ph.d = P H D; ave = Avenue; blvd = Boulevard;
        rd = Road; mt = Mount; al = al; cf = compare; viz = namely"""
    ),
)  # fmt: skip

GERMAN = Grammar(
    numerals.GERMAN, ". \u00a0\u202f'", ",", "Komma", "minus", "plus", "bis", "mal", "Prozent", "Promille", "Punkt",
    "Schrägstrich", "ät", "Minus", "Unterstrich", "Doppelpunkt", "Nummer", "und", "gleich", "etwa", ("Grad", "Grad"),
    tuple(_DE_MONTHS.split()),
    _months("jan|jän|jänner feb mär|mrz apr mai jun jul aug sep|sept okt nov dez"),
    {(1, 2): "ein halb", (1, 3): "ein Drittel", (2, 3): "zwei Drittel", (1, 4): "ein Viertel", (3, 4): "drei Viertel"},
    "",
    _table(
        """km Kilometer; m Meter; cm Zentimeter; mm Millimeter; km² Quadratkilometer; m² Quadratmeter; m³ Kubikmeter;
        kg Kilogramm; g Gramm; mg Milligramm; t Tonne Tonnen; l|L Liter; ml|mL Milliliter;
        km/h Kilometer_pro_Stunde; m/s Meter_pro_Sekunde; °C Grad_Celsius; °F Grad_Fahrenheit; ° Grad;
        KB|kB Kilobyte; MB Megabyte; GB Gigabyte; TB Terabyte; Hz Hertz; kHz Kilohertz; MHz Megahertz; GHz Gigahertz;
        W Watt; kW Kilowatt; kWh Kilowattstunde Kilowattstunden; V Volt; A Ampere; mAh Milliamperestunden;
        ms Millisekunde Millisekunden; s|Sek Sekunde Sekunden; min|Min Minute Minuten; h|Std Stunde Stunden;
        MB/s Megabyte_pro_Sekunde; Mbit/s Megabit_pro_Sekunde; dB Dezibel; px Pixel; ha Hektar"""
    ),
    {
        "€": (("Euro", "Euro"), ("Cent", "Cent")), "$": (("Dollar", "Dollar"), ("Cent", "Cent")),
        "£": (("Pfund", "Pfund"), ("Penny", "Pence")), "¥": (("Yen", "Yen"), ("Sen", "Sen")),
        "CHF": (("Franken", "Franken"), ("Rappen", "Rappen")), "₹": (("Rupie", "Rupien"), ("Paisa", "Paise")),
    },
    _table(
        """Tsd|T tausend; Mio|Mill|Million|Millionen Million Millionen; Mrd|Milliarde|Milliarden Milliarde Milliarden;
        Billion|Billionen Billion Billionen"""
    ),
    " ",
    _pairs(
        """dr = Doktor; prof = Professor; hr = Herr; hrn = Herrn; fr = Frau; bzw = beziehungsweise; z.b = zum Beispiel;
        d.h = das heißt; u.a = unter anderem; z.t = zum Teil; ca = circa; evtl = eventuell; ggf = gegebenenfalls;
        inkl = inklusive; exkl = exklusive; zzgl = zuzüglich; abzgl = abzüglich; bzgl = bezüglich; usw = und so weiter;
        etc = et cetera; vgl = vergleiche; sog = sogenannte; nr = Nummer; tel = Telefon; str = Straße; abs = Absatz;
        mio = Millionen; mrd = Milliarden; tsd = Tausend; max = maximal; mind = mindestens; n.chr = nach Christus;
        v.chr = vor Christus; st = Sankt; gest = gestorben; geb = geboren; jr = Junior; sr = Senior;
        o.ä = oder Ähnliches;
        u.ä = und Ähnliches; std = Stunden; allg = allgemein; i.d.r = in der Regel; v.a = vor allem; s.o = siehe oben"""
    ),
    frozenset(listed(
    "Tonne Sekunde Millisekunde Minute Stunde Kilowattstunde Rupie Million Milliarde Billion"
)),
)  # fmt: skip

SPANISH = Grammar(
    numerals.SPANISH, ". \u00a0\u202f", ",", "coma", "menos", "más", "a", "por", "por ciento", "por mil", "punto",
    "barra", "arroba", "guion", "guion bajo", "dos puntos", "número", "y", "igual a", "unos", ("grado", "grados"),
    tuple(_ES_MONTHS.split()),
    _months("ene feb mar abr may jun jul ago sep|sept oct nov dic"),
    {(1, 2): "un medio", (1, 3): "un tercio", (2, 3): "dos tercios", (1, 4): "un cuarto", (3, 4): "tres cuartos"},
    "y",
    _table(
        """km kilómetro kilómetros; m metro metros; cm centímetro centímetros; mm milímetro milímetros;
        km² kilómetro_cuadrado kilómetros_cuadrados; m² metro_cuadrado metros_cuadrados; m³ metro_cúbico metros_cúbicos;
        kg kilo kilos; g gramo gramos; mg miligramo miligramos; t tonelada toneladas; l|L litro litros;
        ml|mL mililitro mililitros; km/h kilómetro_por_hora kilómetros_por_hora; m/s metro_por_segundo
        metros_por_segundo; °C|ºC grado_Celsius grados_Celsius; °F|ºF grado_Fahrenheit grados_Fahrenheit;
        ° grado grados;
        KB|kB kilobyte kilobytes; MB megabyte megabytes; GB gigabyte gigabytes; TB terabyte terabytes;
        Hz hercio hercios; kHz kilohercio kilohercios; MHz megahercio megahercios; GHz gigahercio gigahercios;
        W vatio vatios; kW kilovatio kilovatios; kWh kilovatio_hora kilovatios_hora; V voltio voltios;
        A amperio amperios; ms milisegundo milisegundos; s|seg segundo segundos; min minuto minutos; h hora horas;
        dB decibelio decibelios; px píxel píxeles; ha hectárea hectáreas"""
    ),
    {
        "€": (("euro", "euros"), ("céntimo", "céntimos")), "$": (("dólar", "dólares"), ("centavo", "centavos")),
        "£": (("libra", "libras"), ("penique", "peniques")), "¥": (("yen", "yenes"), ("sen", "senes")),
        "CHF": (("franco", "francos"), ("céntimo", "céntimos")), "₹": (("rupia", "rupias"), ("paisa", "paisas")),
    },
    _table(
        "mil mil; M|mill|millón|millones millón millones; billón|billones billón billones"
    ),
    " de ",
    _pairs(
        """sr = señor; sra = señora; srta = señorita; sres = señores; dr = doctor; dra = doctora; d = don; dña = doña;
        prof = profesor; profa = profesora; lic = licenciado; ing = ingeniero; etc = etcétera; p.ej = por ejemplo;
        ee.uu = Estados Unidos; ud = usted; uds = ustedes; vd = usted; vds = ustedes; núm = número; nº = número;
        pág = página; págs = páginas; tel = teléfono; tfno = teléfono; av = avenida; avda = avenida; gral = general;
        aprox = aproximadamente; máx = máximo; mín = mínimo; a.c = antes de Cristo; d.c = después de Cristo;
        a.m = de la mañana; p.m = de la tarde; s.a = S A; cía = compañía; vol = volumen; fig = figura"""
    ),
    frozenset({"tonelada", "libra", "hora", "rupia", "hectárea"}),
)  # fmt: skip

FRENCH = Grammar(
    numerals.FRENCH, " \u00a0\u202f.", ",", "virgule", "moins", "plus", "à", "fois", "pour cent", "pour mille", "point",
    "slash", "arobase", "tiret", "tiret bas", "deux-points", "numéro", "et", "égale", "environ", ("degré", "degrés"),
    tuple(_FR_MONTHS.split()),
    _months("janv|jan févr|fév mars|mar avr mai juin juil août|aou sept|sep oct nov déc"),
    {(1, 2): "un demi", (1, 3): "un tiers", (2, 3): "deux tiers", (1, 4): "un quart", (3, 4): "trois quarts"},
    "et",
    _table(
        """km kilomètre kilomètres; m mètre mètres; cm centimètre centimètres; mm millimètre millimètres;
        km² kilomètre_carré kilomètres_carrés; m² mètre_carré mètres_carrés; m³ mètre_cube mètres_cubes;
        kg kilo kilos; g gramme grammes; mg milligramme milligrammes; t tonne tonnes; l|L litre litres;
        ml|mL millilitre millilitres; km/h kilomètre_heure kilomètres_heure; m/s mètre_par_seconde mètres_par_seconde;
        °C degré_Celsius degrés_Celsius; °F degré_Fahrenheit degrés_Fahrenheit; ° degré degrés;
        Ko|KB|kB kilooctet kilooctets; Mo|MB mégaoctet mégaoctets; Go|GB gigaoctet gigaoctets;
        To|TB téraoctet téraoctets;
        Hz hertz; kHz kilohertz; MHz mégahertz; GHz gigahertz; W watt watts; kW kilowatt kilowatts;
        kWh kilowattheure kilowattheures; V volt volts; A ampère ampères; ms milliseconde millisecondes;
        s|sec seconde secondes; min minute minutes; dB décibel décibels; px pixel pixels; ha hectare hectares"""
    ),
    {
        "€": (("euro", "euros"), ("centime", "centimes")), "$": (("dollar", "dollars"), ("cent", "cents")),
        "£": (("livre", "livres"), ("penny", "pence")), "¥": (("yen", "yens"), ("sen", "sens")),
        "CHF": (("franc", "francs"), ("centime", "centimes")), "₹": (("roupie", "roupies"), ("paisa", "paisas")),
    },
    _table(
        "M|million|millions million millions; Md|Mds|milliard|milliards milliard milliards"
    ),
    " de ",
    _pairs(
        """m = monsieur; mm = messieurs; mme = madame; mmes = mesdames; mlle = mademoiselle; mlles = mesdemoiselles;
        dr = docteur; pr = professeur;
        prof = professeur; me = maître; mgr = monseigneur; etc = et cetera; p.ex = par exemple; ex = exemple;
        c.-à-d = c'est-à-dire; env = environ; av = avenue; bd = boulevard; st = saint; ste = sainte; tél = téléphone;
        max = maximum; min = minimum; av.j.-c = avant Jésus-Christ; ap.j.-c = après Jésus-Christ; vol = volume;
        fig = figure; cf = confer; chap = chapitre; no = numéro; cie = compagnie; jr = junior"""
    ),
    frozenset({"tonne", "livre", "seconde", "milliseconde", "minute", "heure", "roupie"}),
)  # fmt: skip

GRAMMARS: Mapping[str, Grammar] = {"en": ENGLISH, "de": GERMAN, "es": SPANISH, "fr": FRENCH}
