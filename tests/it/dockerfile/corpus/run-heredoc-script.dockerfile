FROM localhost/under-the-hood/base
RUN <<script
#!/bin/sh
echo "$0" >/dev/null
echo script >/out
script
