FROM scratch
ENV A=a E=
ENV B=$A C=${A}b D=${X} F=${X:-word} G=${E:-empty} H=${E-empty} I=${A:+set} J=${E:+set}
ENV K=\$A L='$A' M="$A" N="\$A" O=$A$A P=${X:-$A} Q=x$
COPY a.txt /
