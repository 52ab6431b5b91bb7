"""Sentence frames of the spelling recipe, and the ways to ask for a correction: three lists each that share nothing, one per split.

A frame's placeholders are slots of ``spelling_words``; two of a kind are drawn apart. An instruction holds the sentence at ``{s}``.
"""

from __future__ import annotations


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip().replace("\\n", "\n") for line in text.strip().split("\n"))


TRAIN = _lines("""
    The {person} {did} the {thing} in the {place}.
    My {person} {did} a very {adj} {thing} last week.
    Yesterday the {person} {treated} the {idea} again.
    I don't think that the {idea} is {adj}.
    We have never seen such {adj} {things} before.
    The {people} were {mood} because of the {idea}.
    Why was the {person} so {mood} about the {idea}?
    There is a {adj} {place} behind the {place}.
    Please put the {thing} and the {thing} on the table.
    She {adverb} {did} the {thing} before breakfast.
    He {adverb} forgot where he had left his {thing}.
    Nobody knew whether the {person} would come to the {place}.
    The {idea} was very {adj}, but the {people} liked it.
    I started {doing} when I was about {number} years old.
    The best subject at school was {subject}.
    Her {person} teaches {subject} and {subject} at the university.
    They are {doing} in the {place} with their {people}.
    I bought {number} {things} at the market on {day}.
    The {person} arrived on {day}, {number} minutes late.
    Our trip to {nation} in {month} was {adverb} {adj}.
    In {month} the weather in {nation} is often {adj}.
    Would you like some {food} or would you rather have {food}?
    The recipe needs {food}, {food} and a little {food}.
    The {animal} slept under the tree all afternoon.
    We saw {number} wild animals, but not a single {animal}.
    I was {mood} when I heard about the {idea}.
    It is {adverb} {adj} to go there without a guide.
    You should always keep your {thing} in a safe place.
    The {people} {treated} the {idea} without a single question.
    Although it was late, the {person} kept {doing}.
    Whose {thing} is this, and where did you find it?
    I couldn't find the {thing} anywhere in the {place}.
    The police found the {thing} near the {place}.
    Thank you for the {adj} {thing} that you sent me.
    The {idea} between the two countries is still {adj}.
    According to the {person}, the {idea} will be {adj}.
    It doesn't matter whether the {thing} is {adj} or not.
    The company produced {number} {things} for its customers.
    My {person} is {mood} and {mood} at the same time.
    The whole family spent the summer in {nation}.
    They built the {place} at the beginning of the century.
    What is the difference between the {thing} and the {thing}?
    Everyone in the {place} was {doing} except my {person}.
    We need at least {number} {things} for the {idea}.
    The {person} finally {treated} our {idea}.
    If you see the {person}, tell him about the {idea}.
    The {place} is closed until {day} because of the storm.
    She writes {adj} stories about {people} and their {things}.
    He isn't interested in {subject} at all.
    I would rather study {subject} than {subject}.
    The {things} on the shelf belong to my {person}.
    Be careful, the {thing} is {adverb} {adj}.
    Some of the {people} have already left the {place}.
    Could you tell me the way to the {place}?
    How long have you been {doing} today?
    The {idea} has changed the life of many {people}.
    A good {person} is {mood} and never {mood}.
    My {person} used to work as a {person} in {nation}.
    The {person} and the {person} are close friends.
    It was the most {adj} {idea} of my whole life.
    That {thing} looks {adj}, doesn't it?
    He was {mood} that the {people} had {did} his {thing}.
    The {adj} {place} lies between the {place} and the river.
    The new {idea} is {adverb} better than the old one.
    I have an appointment with the {person} on {day}.
    Dinner was {adj}: {food} with {food}, and {food} afterwards.
    The {animal} is one of the most {adj} animals in the world.
    Children like to watch the {animal} and the {animal} at the zoo.
    Every {day} the {people} meet in the {place}.
    She opened the window and heard somebody {doing}.
    The {person} said that {subject} is easy to learn.
    This {thing} was made in {nation} more than {number} years ago.
    There isn't enough {food} left for everybody.
    During the {idea}, the {people} were {adverb} quiet.
    I'm sorry, but I can't come to the {place} on {day}.
    The {person} was born in {month} in a small village.
    The {people} are {adverb} {mood} with the {idea}.
    My brother broke the {thing} while he was {doing}.
    We were {doing} together until the lights went out.
    The {idea} of the {person} was {adj} and {adj}.
    The {thing} costs about {number} dollars in this shop.
    Their house is next to the {place}, opposite the {place}.
    Did you know that the {person} comes from {nation}?
    The {things} were {adj}, so we sent them back.
    Please read the contract {adverb} before you sign it.
    I {adverb} {did} this {thing} as a child.
    The {person} carried the {thing} through the {place}.
    Without {food}, the soup tastes {adj}.
    His {idea} depends on the {idea} of other {people}.
    The {people} celebrated the {idea} with {food} and {food}.
    Nothing is more {adj} than a {adj} {idea}.
    Last {month} the {person} {did} several {things}.
    The {adj} {person} asked us a few {things}.
    {day} is the busiest day in our {place}.
    It takes {number} minutes to walk from the {place} to the {place}.
    We {treated} the {idea}, and the result was {adj}.
    The {person} didn't understand the {idea}.
    They talked about {subject}, the weather and their {people}.
    The {animal} jumped over the fence and disappeared.
    Which {thing} do you like better, the {adj} one or the {adj} one?
    The doctor said that {doing} is good for your health.
    I wasn't {mood} at all, only a little {mood}.
    The {place} was full of {people} and {things}.
    The {person} {adverb} {treated} what had happened.
    This is {adverb} the best {food} I have ever eaten.
    One {adj} {idea} could save the lives of many {people}.
    In my opinion, the {idea} is more {adj} than the {idea}.
    The bus to the {place} leaves at eight in the morning.
    You can't enter the {place} without a {thing}.
    Their {person} has lived in {nation} since {month}.
    We haven't received the {things} that we ordered in {month}.
    The {thing} belongs to the {person} from {nation}.
    Somebody left a {adj} {thing} in front of the {place}.
    I hope that the {idea} will be {adj} for all of us.
    There were more {people} than {things} at the {idea}.
    The {adj} {thing} was {did} by a young {person}.
    The letter from the {person} was short and {adj}.
    It rained the whole {day}, so we stayed in the {place}.
    I will never forget the {adj} {idea} we had in {nation}.
    The {person} explained why the {thing} had stopped working.
    Several {people} {adverb} {did} the {things}.
    Have you {adverb} {treated} the {idea}?
    The meeting with the {person} begins at {number} minutes past nine.
    Where did the {people} buy these {adj} {things}?
    The children were {doing} and {doing} until it was dark.
    Success in {subject} is a question of hard work.
    The {animal} ran across the street towards the {place}.
    Mix the {food} with the {food} and wait for {number} minutes.
    When the {person} was younger, he {did} {things}.
    My uncle's {animal} is {mood} and {mood}.
    It's {adj} that nobody {did} the {thing}.
    There is no {idea} without {idea}.
    The next {idea} will take place in the {place} on {day}.
    The old man sat on the bench and fed the pigeons every morning.
    A journey of a thousand miles begins with a single step.
    We could hear the thunder long before the storm reached us.
    It is easier to forgive an enemy than to forgive a friend.
    She has always wanted to travel around the world by train.
    The judge asked the witness to speak louder.
    Remember to switch off the lights when you leave the room.
    There was an awkward silence after his joke.
    I have already told you everything I know about it.
    The results of the experiment were completely different this time.
    Nobody expected the experiment to succeed.
    The earthquake destroyed hundreds of buildings in the city.
    Does anybody know what happened to the other half of the cake?
    He was sorry for being late and took a seat at the back.
    The government promised to lower taxes before the election.
    My parents celebrated their fortieth wedding anniversary in Rome.
    A healthy breakfast is the best beginning of the day.
    I am writing to complain about the service in your restaurant.
    Thank you very much for your quick answer.
    I look forward to hearing from you soon.
    Unfortunately, we are unable to accept your application.
    Please find the documents attached to this message.
    Would it be possible to change the date of our appointment?
    I am very sorry for the misunderstanding.
    Let me know whether you can come to the meeting.
    We hope that this does not cause any inconvenience.
    Our office will be closed between Christmas and New Year.
    You can exchange the shoes within thirty days.
    The delivery will arrive on Tuesday between nine and eleven.
    Have you heard anything from the insurance company yet?
    The children built an enormous castle out of sand.
    The moon disappeared behind the clouds and everything was dark.
    He was so exhausted that he fell asleep immediately.
    The knight swore to protect the princess from the dragon.
    Once upon a time there lived a beautiful queen.
    The wolf pretended to be the girl's grandmother.
    They whispered because they didn't want to wake the baby.
    The audience applauded for several minutes.
    The scientists finally published the results of their research.
    The temperature will rise to thirty degrees by the afternoon.
    Oxygen and hydrogen are the elements that form water.
    The heart pumps blood through the whole body.
    Many species will disappear if the forest is destroyed.
    The volcano has been silent for almost a century.
    The museum has the largest collection of ancient coins in the country.
    It takes courage to admit your own mistakes.
    A good dictionary is an essential tool for every writer.
    His handwriting is so terrible that nobody can read it.
    You must not interrupt people while they are speaking.
    The exercise at the end of the chapter is quite difficult.
    Don't forget to bring your swimming costume and a towel.
    I almost didn't see you with your new glasses.
    We should have listened to the advice of our lawyer.
    The mayor was accused of corruption and had to resign.
    The company guarantees that the battery lasts for two years.
    The price of vegetables has increased since last winter.
    Although she was nervous, her speech was a great success.
    The hotel was cheap, clean and close to the beach.
    Most tourists visit the island in July and August.
    The ferry leaves every twenty minutes from the old port.
    The waiter recommended the fish with potatoes and spinach.
    Add the flour and the sugar, then stir until it is smooth.
    You can substitute butter with a little oil.
    The bakery on the corner sells excellent bread.
    The patient has been complaining about a strange pain in his chest.
    You should take this medicine twice a day after meals.
    Regular exercise can prevent many diseases.
    The surgeon explained the risks of the operation.
    She broke her ankle while she was climbing over a fence.
    The referee stopped the match because of the heavy rain.
    Their new striker scored twice against the champions.
    The athlete trained every day, even on Sundays.
    The orchestra will perform in the cathedral tonight.
    He plays the guitar and his sister plays the violin.
    The novel describes the life of an ordinary family in the country.
    The film was so boring that we left the cinema early.
    Who is responsible for the security of the building?
    The police are looking for two suspicious men in a white car.
    The thief escaped through the bathroom window.
    It was a privilege to work with such talented colleagues.
    Their relationship ended in February after a terrible argument.
    I sincerely believe that honesty is the best policy.
    We were surprised by the generous offer of our landlord.
    The soldiers marched through the desert without enough water.
    The emperor ruled over a huge territory.
    The revolution changed the course of history.
    The president gave an interview to a foreign newspaper.
    Parliament will discuss the new law on Thursday.
    It doesn't matter how slowly you go as long as you don't stop.
    Patience is bitter, but its fruit is sweet.
    """)

VALIDATION = _lines("""
    My {person} says the {place} has become {adj} since {month}.
    Only {number} of the {people} came to the {place} on {day}.
    Are the {things} in your bag {adj} enough?
    The {person} was tired of {doing} and went home.
    We learned a lot about {subject} during our stay in {nation}.
    He put {food} on his bread, which tasted {adj}.
    The {idea} made the {people} {mood}.
    It was {adverb} the {person} who {did} the {thing}.
    Not every {animal} is as {adj} as this one.
    Let us talk about the {idea} after lunch.
    The {thing} fell from the roof of the {place}.
    I was {doing} when the {person} called.
    {nation} has many {adj} places to visit in {month}.
    They {treated} the {idea} just in time.
    You look {mood} today, is it the {idea}?
    The lighthouse warns the ships of the dangerous rocks.
    She couldn't remember the name of her first teacher.
    The contract will be signed at the end of September.
    Actions speak louder than words.
    Could you please send me a copy of the receipt?
    The bridge was built by a famous engineer.
    My grandmother tells the most interesting stories.
    Every country has its own customs and traditions.
    """)

TEST = _lines("""
    A {adj} {thing} stood in the corner of the {place}.
    After the {idea}, the {person} went straight to the {place}.
    All {people} should have the right to a {adj} {idea}.
    As a child I watched every {animal} I saw.
    Because of the {idea}, most {people} {did} their {things}.
    By the end of {month} the {place} will be {adj}.
    Can anybody explain this {adj} {idea} to me?
    Do not touch the {thing}, it could be {adj}.
    Each {person} gets a {thing} and {number} {things}.
    Even my {person} {treated} the {idea}, and he is never {mood}.
    For lunch there was {food}, for supper there was {food}.
    From the {place} you can see the whole {place}.
    Half of the {people} were {doing}, the other half were {mood}.
    Her {idea} was {adj}, his was {adverb} {adj}.
    I have read {number} books about {subject} this year.
    I met my {person} in {nation}, where we visited a {place}.
    I wonder who {did} the {things} on {day}.
    In the evening, the {people} came back from {doing}.
    It seems that the {person} {adverb} {did} the {thing}.
    Just look at this {adj} {animal}!
    Let me know as soon as the {person} has {did} the {thing}.
    Many {people} in {nation} grow their own {food}.
    Most of what the {person} told us was {adverb} {adj}.
    Much to our surprise, the {thing} was {adj} again.
    My {people} came to see the {idea} on {day}.
    No {person} should be {mood} after such a {adj} {idea}.
    On {day} morning the {person} found the {thing} in the snow.
    One of the {things} was {adverb} missing.
    Other {people} have the same {idea} every {month}.
    Perhaps the {person} is {mood} because of {subject}.
    She laughed about the {adj} {thing} and kept {doing}.
    She promised her {people} a trip to {nation}.
    Since {month}, nobody has visited the {place}.
    That {person} knows more about {subject} than I do.
    The book tells the story of a {mood} {person} and his {animal}.
    The police asked the {people} about the {thing}.
    The room smelled of {food} and fresh {food}.
    These {things} are too {adj} for the {place}.
    This {idea} is the reason why the {people} are {mood}.
    Those who {treated} the {idea} were {adverb} {mood}.
    Today the {person} is {doing} with the {people}.
    Two {people} waited at the {place} for the {person}.
    We walked along the river and talked about {doing} in {nation}.
    What a {adj} {idea} that was!
    While the {person} was {doing}, the {animal} ate the {food}.
    Your {thing} is ready, you can get it at the {place}.
    The library is a quiet place where students like to work.
    A friend in need is a friend indeed.
    The gardener planted roses along the northern wall.
    Could we postpone our conversation until Wednesday?
    I am grateful for the opportunity to work with you.
    The invoice was probably sent to the wrong address.
    Please reply to this message before the end of February.
    The lawyer advised her not to answer any questions.
    An independent committee will examine the accident.
    It was necessary to separate the two fighting dogs.
    The restaurant around the corner serves delicious soup.
    We received a letter from the embassy yesterday.
    He is afraid of spiders, snakes and lightning.
    The captain refused to leave the sinking ship.
    Experience is the name everyone gives to their mistakes.
    The weather forecast predicts snow for the weekend.
    She bought a second-hand bicycle for fifteen dollars.
    My colleague speaks four foreign languages.
    The doctor told him to stop smoking immediately.
    There are many beautiful villages in this valley.
    The king believed that he would live forever.
    The pupils were studying the history of ancient Egypt.
    What happened to the picture above the fireplace?
    You will definitely need warm clothes in the mountains.
    Their argument at dinner was absolutely embarrassing.
    Knowledge is power, but enthusiasm moves the world.
    The mechanic discovered a problem with the engine.
    Our business depends on the trust of our customers.
    The exhibition is especially interesting for children.
    Nothing is impossible for a determined person.
    A strange noise came from the basement of the castle.
    He eventually succeeded in opening the rusty door.
    The environment of the lake is changing rapidly.
    We need volunteers who can assist us on Saturday.
    The secretary types letters and answers the telephone.
    It is dangerous to swim in the river after heavy rain.
    """)

FRAMES = {"train": TRAIN, "validation": VALIDATION, "test": TEST}

ASK_TRAIN = _lines(r"""
    Correct the spelling: {s}
    Correct the spelling: {s}
    Correct the spelling.\n\n{s}
    Correct the spelling of this sentence: {s}
    Correct the spelling in this sentence:\n{s}
    Correct all spelling mistakes: {s}
    Correct the spelling errors in the following sentence: {s}
    Correct the typos: {s}
    correct the spelling pls: {s}
    correct: {s}
    Correct: {s}
    Correct this: {s}
    Correct this sentence: {s}
    please correct: {s}
    Please correct this: {s}
    Please correct the spelling: {s}
    Please correct the spelling mistakes. {s}
    Fix the spelling: {s}
    Fix the spelling: {s}
    fix the spelling: {s}
    fix spelling: {s}
    Fix the spelling of: {s}
    Fix the spelling in "{s}"
    Fix the spelling mistakes in this text: {s}
    Fix the typos: {s}
    fix typos in: {s}
    Fix any typos in the following.\n\n{s}
    Fix: {s}
    fix this: {s}
    Please fix the spelling: {s}
    please fix any spelling mistakes\n{s}
    Spelling: {s}
    spelling: {s}
    Spell check: {s}
    Spell check this: {s}
    spell check please: {s}
    Spellcheck: {s}
    spellcheck this sentence for me: {s}
    Check the spelling: {s}
    Check the spelling of this sentence: {s}
    Check my spelling: {s}
    Check this for spelling mistakes: {s}
    Please check the spelling: {s}
    can you check the spelling of this? {s}
    Can you correct the spelling? {s}
    Can you fix the spelling of this sentence? {s}
    Can you fix the typos in this: {s}
    Could you correct the spelling mistakes in: {s}
    Could you fix my spelling: {s}
    could you check this for typos: {s}
    Proofread: {s}
    Proofread this: {s}
    Please proofread: {s}
    Proofread the following sentence.\n{s}
    Rewrite this sentence without spelling mistakes: {s}
    Rewrite with the right spelling: {s}
    Write this sentence with correct spelling: {s}
    Write it correctly: {s}
    Remove the spelling mistakes: {s}
    Repair the spelling of this line: {s}
    Is this spelled correctly? {s}
    Is the spelling right? "{s}"
    Are there any typos? {s}
    Any spelling mistakes in this? {s}
    any typos here: {s}
    {s}\n\nCorrect the spelling.
    {s}\nFix the spelling please.
    {s} - please correct the spelling
    "{s}" Correct the spelling of this.
    "{s}" - fix the spelling
    {s}\n\nCheck the spelling of the sentence above.
    {s} (fix spelling)
    I wrote: {s} Please fix the spelling.
    I wrote "{s}". Is it spelled right?
    Here is my sentence: {s} Correct the spelling, please.
    My sentence: {s}\nCorrect it.
    Spelling correction: {s}
    Typo check: {s}
    Text: {s}\nCorrected text:
    Wrong: {s}\nRight:
    My spelling is bad, please correct this: {s}
    English is not my first language. Fix the spelling: {s}
    I need to send this, correct the spelling first: {s}
    For my homework: correct the spelling of "{s}"
    Only fix the spelling, change nothing else: {s}
    Return the sentence with correct spelling: {s}
    hey, fix this for me: {s}
    hi, can you correct my message? {s}
    correct my email: {s}
    plz fix teh spelling: {s}
    corect the speling: {s}
    """)

ASK_VALIDATION = _lines(r"""
    Put the spelling right: {s}
    Run a spell checker over this: {s}
    Mend the spelling, please: {s}
    {s} <- typos? fix them
    I typed this in a hurry, clean up the typos: {s}
    Give me the same sentence, spelled properly: {s}
    """)

ASK_TEST = _lines(r"""
    Tidy up the spelling in this line: {s}
    Do you see typing mistakes in this sentence? Write it properly. {s}
    Would you mind looking over my spelling? {s}
    Look for misspelled words and correct them: {s}
    I can't spell. Help me with this one: {s}
    Send this back without the typos: {s}
    Some letters may be wrong here, put them right: {s}
    How would a dictionary spell this? {s}
    Misspellings, if any, should be corrected: {s}
    {s}\n\nThat's my draft, please take out the misspellings.
    "{s}" <- does a spell checker like that? Correct it if not.
    Autocorrect: {s}
    This goes to print tomorrow, so no typos please: {s}
    Be my spell checker: {s}
    needs spelling corrections -> {s}
    Edit for spelling only:\n\n{s}
    """)

INSTRUCTIONS = {"train": ASK_TRAIN, "validation": ASK_VALIDATION, "test": ASK_TEST}
