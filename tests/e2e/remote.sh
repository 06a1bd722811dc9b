#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Libvirt hosts over ssh and TLS, each in a network namespace of its own: keys and certificates are made for the test,
# are checked, and what does not fit them is refused.
. "$(dirname "$0")/libvirt-hub"

brief() { # brief NAME OPTION...: a short run into $T/NAME
	name=$1
	shift
	timeout 100 "$BUILD/mvmscale" run --quiet --backend libvirt --accel tcg --max 2 --intervals 1 --settle 0 --samples 2 \
		--sample-time 0.1 --verify all --threshold 99 --stop-on ram "$@" -o "$T/$name" >"$T/$name.out" 2>&1
	echo $? >"$T/$name.status"
}

# In the current folder: authority NAME, and certificate CA NAME EXTENSIONS, make NAMEkey.pem and NAMEcert.pem.
certificate() {
	openssl req -new -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout "$2key.pem" -out "$2.csr"
	printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n%s\n' "$3" >"$2.ext"
	openssl x509 -req -in "$2.csr" -CA "$1cert.pem" -CAkey "$1key.pem" -CAcreateserial -days 2 -extfile "$2.ext" \
		-out "$2cert.pem"
}
authority() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -addext keyUsage=critical,keyCertSign \
		-keyout "$1key.pem" -out "$1cert.pem"
}
pki() {
	mkdir -p "$T/h2/pki" "$T/wrong"
	cd "$T/h2/pki" || exit 1
	authority ca
	certificate ca server "$(printf 'extendedKeyUsage=serverAuth\nsubjectAltName=IP:10.123.77.2')"
	certificate ca client extendedKeyUsage=clientAuth
	cp cacert.pem "$T/wrong"
	cd "$T/wrong" || exit 1
	authority other
	certificate other client extendedKeyUsage=clientAuth
}

ssh_keys() {
	mkdir -p "$T/h1/ssh" "$T/user"
	ssh-keygen -q -t ed25519 -N '' -f "$T/h1/ssh/host_key"
	ssh-keygen -q -t ed25519 -N '' -f "$T/user/key"
	ssh-keygen -q -t ed25519 -N '' -f "$T/user/stranger"
	cp "$T/user/key.pub" "$T/h1/ssh/authorized_keys"
	echo "10.123.77.1 $(cut -d ' ' -f 1,2 "$T/h1/ssh/host_key.pub")" >"$T/user/known"
	# what a user has in ~/.ssh/config; this test must not read that
	printf 'Host *\n\tUserKnownHostsFile %s\n\tGlobalKnownHostsFile none\n' "$T/user/known" >"$T/user/config"
	printf '#!/bin/sh\nexec ssh -F %s/user/config "$@"\n' "$T" >"$T/user/ssh"
	printf '#!/bin/sh\nexec ssh -F %s/user/config -o UserKnownHostsFile=/dev/null "$@"\n' "$T" >"$T/user/ssh-new"
	chmod +x "$T/user/ssh" "$T/user/ssh-new"
}

over_ssh() {
	to=qemu+ssh://root@10.123.77.1/system
	brief ssh --connect "$to?keyfile=$T/user/key&command=$T/user/ssh"
	brief ssh-stranger --connect "$to?keyfile=$T/user/stranger&command=$T/user/ssh"
	brief ssh-unknown --connect "$to?keyfile=$T/user/key&command=$T/user/ssh-new"
}
over_tls() {
	to=qemu+tls://10.123.77.2/system
	brief tls --connect "$to?pkipath=$T/h2/pki"
	brief tls-stranger --connect "$to?pkipath=$T/wrong"
	# the certificate is for the address, not for this name
	echo '10.123.77.2 north' >"$T/names"
	mount --bind "$T/names" /etc/hosts
	brief tls-name --connect "qemu+tls://north/system?pkipath=$T/h2/pki"
}

# in_hub WAY...
in_hub() {
	hub_open
	for way in "$@"; do
		if [ "$way" = ssh ]; then
			ssh_keys
			hub_host 1 ssh
			hub_wait 1
			over_ssh
		else
			(pki 2>"$T/openssl.log")
			hub_host 2 tls
			hub_wait 2
			over_tls
		fi >"$T/$way.log" 2>&1
	done
}

# remote.sh --in-hub FOLDER WAY...
if [ "${1-}" = --in-hub ]; then
	T=$2
	shift 2
	in_hub "$@"
	exit 0
fi
. "$(dirname "$0")/lib.sh"
T=$(t_tmp)

ends() { # ends RUN STATUS PATTERN
	[ "$(cat "$T/$1.status")" = "$2" ] && grep -Eq "$3" "$T/$1.out" || {
		cat "$T/$1.status" "$T/${1%%-*}.log"
		head -n 5 "$T/$1.out"
		return 1
	}
}
booted() {
	[ "$(cat "$T/$1.status")" = 0 ] && t_cell_is "$T/$1/intervals.csv" 2 vm_count 2
}
answered() {
	t_cell_is "$T/$1/intervals.csv" 2 proven_ping 2
}

ways=
if ! hub_possible; then
	t_skip "hosts over ssh and TLS" "needs $hub_needs"
	t_done
fi
if ! { command -v sshd || [ -x /usr/sbin/sshd ]; } >/dev/null || ! command -v ssh >/dev/null; then
	t_skip "a host over ssh" "needs ssh and sshd (Debian: openssh-server)"
else
	ways=ssh
fi
if ! command -v openssl >/dev/null; then
	t_skip "a host over TLS" "needs openssl to make certificates"
else
	ways="$ways tls"
fi
# shellcheck disable=SC2086 # words
[ -z "$ways" ] || t_ok "runs over$(printf ' %s' $ways) end by themselves" hub "$0" --in-hub "$T" $ways
case $ways in *ssh*)
	t_ok "ssh: VMs boot on the host" booted ssh
	t_ok "and answer through it" answered ssh
	t_ok "a key that the host does not know is refused" ends ssh-stranger 3 "Permission denied"
	t_ok "a host whose key is not known is refused, and nobody is asked" ends ssh-unknown 3 "Host key verification failed"
	;;
esac
case $ways in *tls*)
	t_ok "TLS: VMs boot on the host" booted tls
	t_ok "and answer through it" answered tls
	t_ok "a certificate of another CA is refused" ends tls-stranger 3 "cannot connect to qemu\+tls"
	t_ok "a host whose certificate has another name is refused" ends tls-name 3 "cannot connect to qemu\+tls.*[Cc]ertificate"
	;;
esac
t_done
