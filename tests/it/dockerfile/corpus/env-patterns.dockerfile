FROM scratch
ENV A=foo.tar.gz
ENV B=${A#*.} C=${A##*.} D=${A%.*} E=${A%%.*} F=${A/o/0} G=${A//o/0}
