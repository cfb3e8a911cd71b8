FROM scratch AS a
CMD ["one"]
FROM a
CMD ["three"]
ENTRYPOINT ["two"]
COPY a.txt /
