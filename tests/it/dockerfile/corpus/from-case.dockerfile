from scratch As One
copy a.txt /a
From ONE
CoPy b.txt /b
