FROM scratch
MAINTAINER Some One <some@one.example>
COPY a.txt /
