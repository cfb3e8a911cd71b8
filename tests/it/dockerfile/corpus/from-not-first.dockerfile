# A comment
RUN echo too early
FROM scratch
