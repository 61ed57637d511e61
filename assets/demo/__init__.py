"""How the embedded demo is made: drawn traffic signs, a sticker backdoor, two small networks."""
