"""Common words by the place they take in a sentence.

The same lists serve all splits: what is held out are misspellings, sentence frames and instructions. Words that British and American
English spell apart (colour, centre, travelled) are left out, because they have no one right spelling.
"""

from __future__ import annotations

_LISTS = {
    "person": """
        teacher doctor manager student colleague customer passenger lawyer engineer secretary president professor scientist soldier
        musician director minister governor mechanic plumber carpenter farmer butcher baker waiter waitress nurse dentist surgeon
        physician journalist reporter editor author publisher photographer architect accountant assistant officer policeman
        detective prisoner witness judge senator ambassador stranger visitor tourist guest landlord tenant inspector specialist
        technician volunteer translator librarian magician candidate participant opponent apprentice beginner grandfather
        grandmother daughter brother sister cousin husband mother father uncle princess emperor knight captain lieutenant sergeant
        astronaut athlete champion coach referee novelist philosopher psychologist pharmacist veterinarian entrepreneur investor
        employee employer supervisor consultant politician mayor ancestor descendant individual""",
    "people": """
        children students teachers parents friends customers passengers soldiers scientists engineers colleagues visitors tourists
        guests employees volunteers lawyers doctors farmers workers musicians reporters politicians witnesses prisoners candidates
        participants professors villagers citizens immigrants teenagers women girls brothers sisters cousins relatives managers
        shareholders investors amateurs beginners experts critics officials authorities researchers subscribers residents survivors
        competitors strangers celebrities architects""",
    "place": """
        library restaurant kitchen office hospital village garden museum factory station airport university school cemetery
        cathedral church castle palace island mountain valley forest beach bridge tunnel bakery supermarket pharmacy warehouse
        laboratory stadium gallery apartment basement bathroom bedroom balcony cellar corridor courtyard building cafeteria
        parliament courtroom classroom gymnasium aquarium zoo park market square street highway campus dormitory monastery
        lighthouse embassy headquarters cottage farmhouse entrance hallway attic cabin desert jungle province capital city country
        region district hotel meadow""",
    "thing": """
        document letter package computer calendar camera telephone television machine engine vehicle bicycle umbrella mirror picture
        painting sculpture instrument guitar piano violin blanket mattress pillow curtain furniture refrigerator dishwasher vacuum
        necklace bracelet diamond souvenir present envelope certificate passport receipt invoice newspaper magazine dictionary
        manuscript textbook notebook pencil scissors ladder hammer screwdriver bottle suitcase luggage jacket sweater costume
        uniform helmet wallet purse chandelier candle lantern photograph postcard ticket recipe menu sandwich password keyboard
        printer screen battery antenna calculator telescope microscope thermometer stethoscope wheelchair ambulance helicopter
        submarine sailboat tractor lawnmower fountain statue fence chimney carpet cupboard drawer bookshelf table knife bowl kettle""",
    "things": """
        documents letters packages computers cameras pictures paintings instruments candles envelopes certificates receipts
        newspapers magazines textbooks bottles suitcases costumes photographs tickets recipes sandwiches passwords batteries
        vegetables potatoes tomatoes strawberries cherries mushrooms onions flowers butterflies knives shelves boxes windows
        machines vehicles diamonds souvenirs answers questions addresses results examples exercises sentences languages countries
        cigarettes medicines supplies accessories materials ingredients calendars invoices""",
    "idea": """
        decision argument relationship opportunity experience government environment agreement announcement appointment conversation
        discussion explanation description difference difficulty disappointment development education election emergency equipment
        exhibition existence expense explosion expression failure festival friendship guarantee happiness history holiday importance
        improvement independence influence information inspiration interview investigation investment invitation journey knowledge
        language marriage meeting memory mistake mystery negotiation obstacle occasion operation opinion performance permission
        personality philosophy possibility preparation presentation pressure privilege problem procedure process production
        profession progress project promise proposal protection question reaction recommendation reference religion research
        responsibility result schedule security sentence service situation solution statement story strategy success suggestion
        surprise temperature theory tradition translation treatment victory weather accident achievement advantage adventure
        advertisement anniversary application assignment atmosphere attempt attention attitude background ceremony challenge
        championship character circumstance comparison competition conclusion condition confidence consequence controversy
        cooperation corruption curiosity definition disaster discovery disease economy effort enthusiasm campaign business committee
        community company conference connection contract contribution beginning""",
    "adj": """
        beautiful terrible different important interesting necessary possible impossible excellent expensive dangerous difficult
        popular wonderful delicious famous strange weird separate similar simple special successful surprising unusual useful
        useless valuable violent visible available acceptable accurate ancient annoying appropriate artificial automatic awful
        brilliant capable careful cheap comfortable common complete complicated convenient correct curious definite disappointing
        dramatic effective efficient elegant enormous essential exciting exhausting extraordinary fascinating flexible foreign
        fragile frequent generous genuine gorgeous gradual horrible hilarious identical immediate impressive incredible independent
        inevitable innocent intelligent international legitimate magnificent memorable minor miserable modern mysterious natural
        noticeable obvious occasional official ordinary original outrageous peaceful peculiar perfect permanent personal physical
        pleasant powerful practical precious previous private professional public radical reasonable relevant reliable remarkable
        ridiculous romantic serious significant silent sufficient suitable suspicious temporary traditional tremendous typical
        unbelievable unexpected unfortunate unique universal unnecessary urgent vulnerable wooden worthless actual basic regular
        general particular familiar""",
    "mood": """
        happy angry nervous anxious grateful jealous curious embarrassed disappointed surprised interested confused frightened
        excited exhausted frustrated satisfied worried suspicious generous honest polite patient friendly lonely hungry thirsty
        guilty innocent ambitious courageous enthusiastic intelligent ignorant arrogant selfish stubborn careful careless
        responsible desperate delighted fascinated impressed amazed ashamed terrified unhappy miserable confident conscious
        convinced determined helpful independent optimistic pregnant reliable sensitive successful tired""",
    "adverb": """
        immediately definitely probably really carefully quickly slowly finally usually always accidentally actually apparently
        automatically basically certainly clearly completely consistently constantly correctly deliberately directly easily entirely
        especially eventually exactly extremely frequently generally gradually happily honestly instantly literally mostly naturally
        nearly necessarily normally obviously occasionally officially originally partially particularly patiently perfectly
        permanently personally possibly practically precisely previously privately publicly rarely reasonably recently regularly
        repeatedly secretly seriously silently similarly simply slightly sometimes somehow specifically successfully suddenly
        sufficiently surprisingly temporarily thoroughly together totally traditionally truly typically unexpectedly unfortunately
        virtually""",
    "did": """
        received discovered described destroyed designed developed examined finished forgot improved noticed ordered prepared
        presented produced protected recommended remembered removed repaired replaced reported requested returned reviewed selected
        separated borrowed exchanged acquired admired appreciated bought brought calculated changed chose collected compared
        completed constructed copied corrected created damaged decorated delivered demonstrated disliked displayed divided enjoyed
        found identified inspected invented lost maintained measured missed obtained offered owned photographed preferred rejected
        required searched watched transferred carried dropped painted polished purchased recovered stole wrapped cleaned counted
        assembled installed""",
    "treated": """
        believed described designed developed discussed examined explained finished forgot imagined improved introduced mentioned
        noticed prepared presented promised protected published recommended remembered repeated reported requested revealed reviewed
        studied suggested supported survived suspected translated understood accepted achieved admired announced appreciated
        approved attempted avoided celebrated challenged changed compared completed confirmed considered controlled corrected
        defended demonstrated disliked doubted enjoyed established expected experienced expressed followed guaranteed handled
        identified ignored influenced interrupted investigated judged justified missed observed obtained offered preferred
        questioned regretted rejected required simplified welcomed opposed postponed""",
    "doing": """
        swimming running writing studying shopping sleeping walking waiting watching whispering working cooking dancing drawing
        driving eating exercising fighting fishing hiding joking laughing learning listening painting playing reading relaxing
        resting singing smiling speaking standing talking thinking training typing arguing climbing complaining gardening hiking
        cleaning knitting camping skating wrestling gossiping daydreaming meditating rehearsing jogging yawning whistling""",
    "day": """
        Monday Tuesday Wednesday Thursday Friday Saturday Sunday""",
    "month": """
        January February March April May June July August September October November December""",
    "subject": """
        mathematics chemistry physics geography history literature philosophy psychology economics biology architecture astronomy
        medicine engineering music politics religion grammar science technology agriculture photography gymnastics algebra geometry
        journalism sociology anthropology statistics""",
    "food": """
        chocolate spaghetti cheese bread butter sugar coffee chicken salmon broccoli cauliflower lettuce spinach cinnamon raspberry
        strawberry vegetable potato tomato mushroom sausage sandwich pancake biscuit dessert soup salad lemonade alcohol wine
        breakfast dinner lunch supper honey garlic pepper vinegar mayonnaise zucchini pumpkin pineapple banana cherry""",
    "animal": """
        elephant giraffe crocodile butterfly squirrel rabbit kitten puppy horse donkey monkey gorilla kangaroo penguin dolphin whale
        octopus spider mosquito caterpillar pigeon parrot eagle chicken goat sheep leopard tiger dinosaur rhinoceros hippopotamus
        hamster tortoise salmon""",
    "number": """
        twelve fifteen eighteen nineteen twenty thirty forty fifty ninety eight seven eleven several""",
    "nation": """
        Britain America Australia Germany Spain Egypt Switzerland Italy Greece Mexico Canada Ireland Scotland Norway Sweden Denmark
        Hungary Russia India Japan Portugal Argentina Colombia Antarctica Europe Africa Asia""",
}
SLOTS: dict[str, tuple[str, ...]] = {name: tuple(text.split()) for name, text in _LISTS.items()}
"""Slot of a frame -> the words that may stand there."""
