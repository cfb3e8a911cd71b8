FROM scratch
CMD ["echo", "hi there", "$HOME", "\u00e9"]
COPY a.txt /
