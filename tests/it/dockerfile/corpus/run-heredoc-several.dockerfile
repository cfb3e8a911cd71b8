FROM localhost/under-the-hood/base
RUN cat <<A >/a && cat <<'B' >/b
in a: $HOME
A
in b: $HOME
B
