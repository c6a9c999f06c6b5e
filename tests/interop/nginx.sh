#!/bin/bash
# nginx on free loopback ports: plain, TLS, and TLS that wants a certificate of
# the client (CLIENT_PORT). The first two also on Unix sockets, SOCKET and TLS_SOCKET.
#
#   /client              the name in that certificate
#   /0 /1 /64k /100m     files of that many bytes, with Content-Length and ranges
#   /text.txt            64 KiB; gzip and chunked when gzip is accepted
#   /chunked/NAME        the same files in chunks (through SSI, which drops the length)
#   /upload              reads the body, answers "METHOD LENGTH"
#   /small-upload        413 for a body above 1 KiB, before it is read
#   /redirect            302 to /1
#   /auth                basic authentication, user "user", password "secret"
#   /close               answers and closes the connection
#   /few                 at most three requests a connection
#   /hang-up             closes with no answer at all
#   /cookies/set         sets the cookies a=1 and b=2, then redirects to /cookies
#   /cookies             the Cookie header received
#   /tls                 "r" if the TLS session was resumed, "." if not
. "$(dirname "$0")/lib.sh"

# Debian keeps it in /usr/sbin, which is not in everybody's PATH.
PATH=$PATH:/usr/sbin

ports=(PORT TLS_PORT CLIENT_PORT)

installed() {
  command -v nginx >/dev/null
}

serve() {
  local user=''
  # Their paths may have a hundred characters and no more.
  if [[ -z ${outside:-} ]]; then make_outside; fi
  rm -f "$outside"/*.socket
  # As root the workers would give up the right to read the cache in root's home.
  if [[ $(id -u) = 0 ]]; then user='user root;'; fi
  mkdir -p "$dir/temp"
  printf 'user:%s\n' "$(openssl passwd -apr1 secret)" >"$dir/passwords"
  cat >"$dir/nginx.conf" <<CONF
$user
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/log;
events { worker_connections 512; }
http {
  access_log off;
  default_type application/octet-stream;
  types { text/plain txt; }
  client_body_temp_path $dir/temp/body;
  proxy_temp_path $dir/temp/proxy;
  fastcgi_temp_path $dir/temp/fastcgi;
  uwsgi_temp_path $dir/temp/uwsgi;
  scgi_temp_path $dir/temp/scgi;
  gzip on;
  gzip_types text/plain;
  client_max_body_size 1g;
  keepalive_requests 100000;
  server {
    listen 127.0.0.1:$port;
    listen 127.0.0.1:$tls_port ssl;
    listen unix:$outside/plain.socket;
    listen unix:$outside/tls.socket ssl;
    server_name localhost;
    ssl_certificate $certs/leaf.pem;
    ssl_certificate_key $certs/leaf.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    root $www;
    location /chunked/ {
      alias $www/;
      ssi on;
      ssi_types *;
    }
    location = /upload { return 200 "\$request_method \$content_length\n"; }
    location = /small-upload { client_max_body_size 1k; return 200 "taken\n"; }
    location = /redirect { return 302 /1; }
    location = /auth {
      auth_basic "interop";
      auth_basic_user_file $dir/passwords;
      alias $www/1;
    }
    location = /close { keepalive_timeout 0; alias $www/1; }
    location = /few { keepalive_requests 3; alias $www/1; }
    location = /hang-up { return 444; }
    location = /cookies/set {
      add_header Set-Cookie "a=1; Path=/" always;
      add_header Set-Cookie "b=2; Path=/" always;
      return 302 /cookies;
    }
    location = /cookies { return 200 "\$http_cookie"; }
    location = /tls { return 200 "\$ssl_session_reused"; }
  }
  server {
    listen 127.0.0.1:$client_port ssl;
    server_name localhost;
    ssl_certificate $certs/leaf.pem;
    ssl_certificate_key $certs/leaf.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_client_certificate $certs/ca.pem;
    ssl_verify_client on;
    ssl_verify_depth 2;
    return 200 "\$ssl_client_s_dn";
  }
}
CONF
  launch nginx -c "$dir/nginx.conf" -e "$dir/log"
}

facts() {
  echo "SOCKET=$outside/plain.socket"
  echo "TLS_SOCKET=$outside/tls.socket"
}

main "$@"
