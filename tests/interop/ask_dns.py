"""ask_dns.py PORT NAME...: prints what the server at 127.0.0.1:PORT says of each."""
import socket
import struct
import sys

KINDS = {1: 'A', 28: 'AAAA'}


def query(name, kind):
    labels = b''.join(bytes([len(part)]) + part.encode() for part in name.split('.'))
    return struct.pack('>6H', 4660, 0x100, 1, 0, 0, 0) + labels + b'\0' + struct.pack('>2H', kind, 1)


def main():
    port, names = int(sys.argv[1]), sys.argv[2:]
    for name in names:
        for kind, word in KINDS.items():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(3)
                asking.sendto(query(name, kind), ('127.0.0.1', port))
                answer = asking.recv(4096)
            _, flags, _, count = struct.unpack('>4H', answer[:8])
            cut = ', cut off' if flags & 0x200 else ''
            print(f'{name} {word}: rcode {flags & 15}, {count} records{cut}')


main()
