FROM localhost/under-the-hood/base
RUN --mount=type=cache,target=/root/.cache echo hi
