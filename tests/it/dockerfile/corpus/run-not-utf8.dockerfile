# café in a comment is no matter
FROM scratch
RUN echo café
