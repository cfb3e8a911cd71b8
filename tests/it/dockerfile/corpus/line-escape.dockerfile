# escape=`
FROM scratch
ENV A=b`
c D=`$x E=\x
COPY a.txt `
  /d/
