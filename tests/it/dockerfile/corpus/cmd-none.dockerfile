FROM scratch AS a
CMD ["one"]
FROM a
CMD []
COPY a.txt /
