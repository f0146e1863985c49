"""Where two recordings agree, in which key and tempo, and whether they are one recording."""
