FROM scratch
[31mRUN[0m ‮evil
