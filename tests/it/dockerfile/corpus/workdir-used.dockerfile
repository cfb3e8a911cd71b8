FROM localhost/under-the-hood/base
WORKDIR /made/here
RUN pwd >where
