"""Generic prompts that no narrow expert should win: the other side of the question "is this prompt about the expert?".

A cosine alone says "similar in style"; the cosine to these texts says how similar any prompt of that style is. They are
data, chosen once to spread over what people ask an assistant, and are part of what a routing decision depends on.
"""

from __future__ import annotations

from typing import Final

_TALK = (
    "Hi, how is it going?",
    "Thank you, that is all for now.",
    "Tell me a joke.",
    "What do you think about me?",
    "I am feeling sad today.",
    "Who are you and what can you help me with?",
    "Yes please.",
    "Let's chat about your weekend.",
)
_FACTS = (
    "What is the capital of Spain?",
    "Who discovered penicillin?",
    "When did the Second World War end?",
    "Why is the ocean salty?",
    "Explain how a rainbow forms.",
    "How many inhabitants does Egypt have?",
    "What is the largest animal on earth?",
    "Which country won the last football world cup?",
    "What are the side effects of aspirin?",
    "Describe the history of the Roman empire.",
    "What is the definition of democracy?",
    "How does the heart pump blood?",
)
_MATHS = (
    "What is 48 plus 37?",
    "Multiply 12 by 9.",
    "Solve the equation 2*x - 6 = 10 for x.",
    "Solve x**2 + x - 6 = 0.",
    "Factor the expression x**2 - 9.",
    "Expand and simplify (x + 1)**2.",
    "Find the integral of x**3 with respect to x.",
    "Find the limit of (x**2 - 1)/(x - 1) as x goes to 1.",
    "What is the area of a rectangle with sides 3 and 7?",
    "What is 20 percent of 350?",
    "Add the fractions 1/2 and 1/3.",
    "What is the probability of heads in two coin tosses?",
    "Find the least common multiple of 4 and 10.",
    "Calculate the average of 5, 9 and 13.",
    "Compute the product of two matrices.",
    "Prove that the sum of two even numbers is even.",
    "A farmer has 30 apples and gives away 12. How many are left?",
    "What is the square root of 81?",
)
_CODE = (
    "Write a Python function that adds two numbers.",
    "How do I loop over a list in Python?",
    "Write a program in Java that prints the first ten primes.",
    "Fix the bug in this JavaScript code.",
    "Explain what this C function does.",
    "How do I create a branch in git?",
    "Write a shell script that deletes old files.",
    "Write a regular expression for a date.",
    "Make a web page with HTML and CSS.",
    "What is object oriented programming?",
    "How do I read a file line by line?",
    "What does this error message mean: index out of range?",
    "Parse a JSON file and print its keys.",
    "How do I build a REST API?",
    "Sort a list of dictionaries by a key with pandas.",
    "Configure nginx as a reverse proxy.",
    "Write a class that models a bank account.",
    "Which command lists running processes on Linux?",
)
_WRITING = (
    "Write a poem about winter.",
    "Write a short story about a lost dog.",
    "Translate this sentence into German.",
    "Summarise the following article.",
    "Write an email to my boss asking for a day off.",
    "Correct the spelling in this text.",
    "Rephrase this paragraph so that it sounds formal.",
    "Find a good name for my company.",
    "Give me an outline for an essay on climate change.",
    "Write a tweet about our new shop.",
)
_LIFE = (
    "Suggest a recipe with chicken and rice.",
    "Set a timer for ten minutes.",
    "Book a flight to London next week.",
    "What will the weather be like tomorrow?",
    "Play a song by the Beatles.",
    "How do I transfer money to another bank account?",
    "Recommend a good book.",
    "How can I sleep better?",
    "Plan a holiday in Greece for a family.",
    "Which car should I buy?",
    "Remind me to call my mother.",
    "How do I repair a flat tyre?",
    "Where is the nearest pharmacy?",
    "asdf ghjk qwer zxcv",
)
_TIMES = (
    "What time is it in Tokyo?",
    "How long does the bus to the airport take?",
    "The film starts at 20:15 and lasts 95 minutes. When is it over?",
    "Three workers need five hours for a wall. How long do two workers need?",
    "How often should I water a cactus?",
    "Why does nobody like getting up on Monday?",
    "Ring me at seven tomorrow morning.",
)
_LANGUAGES = (
    "Wie bekomme ich Rotwein aus dem Teppich?",
    "Qu'est-ce que je peux offrir à ma grand-mère ?",
    "¿Qué puedo cocinar con dos huevos y un tomate?",
    "Come posso imparare a suonare la chitarra?",
    "Quais são os melhores lugares para visitar em Lisboa?",
    "Waarom slaapt mijn kat zoveel?",
    "Hur lagar jag ett punkterat cykeldäck?",
    "Hvordan får jeg naboen til å spille lavere?",
    "Hvad er forskellen på te og kaffe?",
    "Miksi taivas on sininen?",
    "Jak zrobić dobre pierogi?",
    "Proč mi nejde spustit počítač?",
    "Hogyan lehet gyorsan elaludni?",
    "Ce film bun îmi recomanzi pentru diseară?",
    "Bugün kendimi çok yorgun hissediyorum.",
    "Bagaimana cara merawat tanaman mawar?",
    "Ποιο είναι το αγαπημένο σου τραγούδι;",
    "Посоветуй интересную книгу о море.",
    "Як швидко вивчити англійську мову?",
    "おすすめの映画を教えてください。",
    "怎么做西红柿炒鸡蛋？",
    "요즘 읽을 만한 책이 있을까?",
)

BACKGROUND: Final[tuple[str, ...]] = (*_TALK, *_FACTS, *_MATHS, *_CODE, *_WRITING, *_LIFE, *_TIMES, *_LANGUAGES)
"""All of them."""
