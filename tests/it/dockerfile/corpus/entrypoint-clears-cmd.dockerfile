FROM scratch AS a
CMD ["one"]
FROM a
ENTRYPOINT ["two"]
COPY a.txt /
