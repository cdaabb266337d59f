package MCHost::FakeKube;

# An apiserver of pods that keeps its objects in memory and misbehaves on
# demand: for what a real one does too rarely. It runs in a process of its own
# behind TLS; every order is answered when it is done.
#
#   my $k = MCHost::FakeKube->new($dir);    # $k->{kubeconfig}
#   $k->put('ns', 'name', { status => ... });   returns the object
#   $k->delete('ns', 'name');
#   $k->lose(1);                    changes from now on make no events
#   $k->mute(1);                    open watches say nothing any more, for ever
#   $k->bookmark;                   to every open watch
#   $k->compact;                    no watch from before now: 410
#   $k->error(410);                 an ERROR event to every open watch, its end
#   $k->cut(20);                    the next event breaks off after 20 bytes
#   $k->raw("text\n");              to every open watch
#   $k->answer(watch => 429, 2, 'Retry-After: 1');  two watches are refused
#   $k->answer(list => 503, 1); $k->answer(continue => 410, 1);
#   $k->drop; $k->refuse(1);        closes connections; accepts none
#   $k->log                         the requests so far, as "list", "list
#                                   continue=…", "watch RV"
#   $k->items                       { "ns/name" => "resourceVersion phase" }
#   $k->restore(5)                  as from a backup: versions count from 5

use strict;
use warnings;
use Fcntl qw(F_SETFD);
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

my $bridge = <<'EOT';
const net = require('net'), tls = require('tls'), fs = require('fs');
const [ key, cert, port, to ] = process.argv.slice(1);
tls.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, c => {
    const s = net.connect(to, '127.0.0.1');
    for (const [ a, b ] of [[c, s], [s, c]]) {
        a.on('error', () => b.destroy());
        a.on('close', () => b.destroy());
        a.pipe(b);
    }
}).listen(port, '127.0.0.1');
EOT

sub new {
    my ($class, $dir) = @_;

    require MCHost::Process;
    my ($plain, $port) = (MCHost::Test::free_port(), MCHost::Test::free_port());
    my $pki = "$dir/fake";
    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=fake "
        . "-addext subjectAltName=IP:127.0.0.1 -keyout $pki.key -out $pki.crt 2>/dev/null") == 0 or die 'openssl';
    MCHost::Process->spawn(name => 'bridge', log => "$dir/bridge.log",
        cmd => [ 'node', '-e', $bridge, "$pki.key", "$pki.crt", $port, $plain ]);

    socketpair my $mine, my $its, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    $_->autoflush(1) for $mine, $its;
    fcntl $its, F_SETFD, 0;
    my $proc = MCHost::Process->spawn(name => 'fake apiserver', log => "$dir/fake.log", death_signal => 9,
        cmd => [ $^X, __FILE__, fileno $its, $plain ]);
    close $its;

    my $self = bless { ctl => $mine, proc => $proc, kubeconfig => "$dir/fake.kubeconfig" }, $class;
    open my $f, '>', $self->{kubeconfig} or die "$self->{kubeconfig}: $!";
    chmod 0600, $self->{kubeconfig};
    print $f <<"EOT";
apiVersion: v1
kind: Config
clusters: [{name: fake, cluster: {server: "https://127.0.0.1:$port", certificate-authority: $pki.crt}}]
users: [{name: fake, user: {token: fake}}]
contexts: [{name: fake, context: {cluster: fake, user: fake}}]
current-context: fake
EOT
    close $f or die $!;
    $self->_order('hello');
    MCHost::Test::wait_for(sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") }, 'the fake apiserver');
    return $self;
}

sub _order {
    my ($self, @order) = @_;

    print { $self->{ctl} } JSON::PP::encode_json(\@order), "\n";
    my $line = readline $self->{ctl};
    defined $line or die "the fake apiserver is gone\n";
    return JSON::PP::decode_json($line)->[0];
}

for my $order (qw(put delete lose mute bookmark compact error cut raw answer drop refuse log items restore)) {
    no strict 'refs';
    *$order = sub { my ($self, @a) = @_; return $self->_order($order, @a) };
}


package MCHost::FakeKube::Server;

my $json = JSON::PP->new->utf8->canonical;

sub _listen {
    my ($self) = @_;

    $self->{lsn} = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $self->{port}, Listen => 64, ReuseAddr => 1)
        or die "listen: $!";
}

# -- objects --

sub _event {
    my ($self, $type, $object) = @_;

    return if $self->{lose};

    push @{ $self->{history} }, { rv => $self->{rv}, type => $type, object => $object };
    $_->{watch} and $self->_feed($_) for values %{ $self->{conns} };
}

sub order_put {
    my ($self, $ns, $name, $data) = @_;

    my $old = $self->{objects}{"$ns/$name"};
    my $o = { apiVersion => 'v1', kind => 'Pod', %{ $data // {} } };
    $o->{metadata} = { namespace => $ns, name => $name, %{ $o->{metadata} // {} }, resourceVersion => '' . ++$self->{rv},
        uid => $old ? $old->{metadata}{uid} : sprintf('00000000-0000-4000-8000-%012d', $self->{rv}) };
    $self->{objects}{"$ns/$name"} = $o;
    $self->_event($old ? 'MODIFIED' : 'ADDED', $o);
    return $o;
}

sub order_delete {
    my ($self, $ns, $name) = @_;

    my $old = delete $self->{objects}{"$ns/$name"} or return 0;
    my $o = { %$old, metadata => { %{ $old->{metadata} }, resourceVersion => '' . ++$self->{rv} } };
    $self->_event('DELETED', $o);
    return $o;
}

sub order_items {
    my ($self) = @_;

    return { map { $_ => "$self->{objects}{$_}{metadata}{resourceVersion} " . ($self->{objects}{$_}{status}{phase} // '') } keys %{ $self->{objects} } };
}

sub order_restore {
    my ($self, $rv) = @_;

    $self->{rv} = $rv;
    $_->{metadata} = { %{ $_->{metadata} }, resourceVersion => '' . ++$self->{rv} } for values %{ $self->{objects} };
    $self->{history} = [];
    $self->{oldest} = $self->{rv};
    return 1;
}

# -- faults --

sub order_hello { return 'hello' }
sub order_lose  { my ($self, $on) = @_; $self->{lose} = $on; return 1 }
sub order_cut   { my ($self, $n) = @_; $self->{cut} = $n; return 1 }
sub order_log   { my ($self) = @_; return $self->{log} }
sub order_mute  { my ($self) = @_; $_->{mute} = 1 for values %{ $self->{conns} }; return 1 }

sub order_compact {
    my ($self) = @_;

    $self->{history} = [];
    $self->{oldest} = ++$self->{rv};
    return 1;
}

sub _watches { my ($self) = @_; return grep { $_->{watch} && !$_->{mute} } values %{ $self->{conns} } }

sub order_bookmark {
    my ($self) = @_;

    my @w = $self->_watches;
    my $line = $json->encode({ type => 'BOOKMARK', object => { kind => 'Pod', apiVersion => 'v1', metadata => { resourceVersion => "$self->{rv}" } } });
    $self->_chunk($_, "$line\n") for @w;
    return scalar @w;
}

sub order_error {
    my ($self, $code) = @_;

    my @w = $self->_watches;
    my $line = $json->encode({ type => 'ERROR', object => { kind => 'Status', apiVersion => 'v1', metadata => {}, status => 'Failure',
        reason => $code == 410 ? 'Expired' : 'InternalError', message => 'made up', code => $code } });
    for (@w) { $self->_chunk($_, "$line\n"); $self->_end($_) }
    return scalar @w;
}

sub order_raw {
    my ($self, $text, $times) = @_;

    my @w = $self->_watches;
    $self->_chunk($_, $text x ($times // 1)) for @w;
    return scalar @w;
}

sub order_answer {
    my ($self, $to, $code, $times, $header) = @_;

    $self->{answers}{$to} = { code => $code, times => $times, header => $header };
    return 1;
}

sub order_drop {
    my ($self) = @_;

    my @all = values %{ $self->{conns} };
    $self->_close($_) for @all;
    return scalar @all;
}

sub order_refuse {
    my ($self, $on) = @_;

    close delete $self->{lsn} if $on && $self->{lsn};
    $self->_listen if !$on && !$self->{lsn};
    return 1;
}

# -- connections --

sub _close { my ($self, $c) = @_; delete $self->{conns}{ $c->{s} }; close $c->{s} }

sub _write {
    my ($self, $c, $bytes) = @_;

    return if $c->{mute};
    while (length $bytes) {
        my $n = syswrite $c->{s}, $bytes;
        defined $n or return $self->_close($c);
        substr($bytes, 0, $n) = '';
    }
}

sub _chunk { my ($self, $c, $text) = @_; $self->_write($c, sprintf("%x\r\n%s\r\n", length $text, $text)) }
sub _end   { my ($self, $c) = @_; $self->_write($c, "0\r\n\r\n"); delete $c->{watch} }

sub _reply {
    my ($self, $c, $code, $object, $header) = @_;

    my $body = $json->encode($object);
    $self->_write($c, "HTTP/1.1 $code X\r\nContent-Type: application/json\r\n" . ($header ? "$header\r\n" : '')
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
}

sub _status {
    my ($self, $c, $code, $header) = @_;

    $self->_reply($c, $code, { kind => 'Status', apiVersion => 'v1', metadata => {}, status => 'Failure', message => 'made up',
        reason => { 410 => 'Expired', 429 => 'TooManyRequests', 404 => 'NotFound' }->{$code} // 'InternalError', code => $code + 0 }, $header);
}

# One that was ordered, true when it was given.
sub _ordered {
    my ($self, $c, $to) = @_;

    my $a = $self->{answers}{$to} or return 0;
    return 0 if $a->{times}-- <= 0;
    $self->_status($c, $a->{code}, $a->{header});
    return 1;
}

sub _feed {
    my ($self, $c) = @_;

    for my $e (@{ $self->{history} }) {
        next if $e->{rv} <= $c->{watch}{rv};
        $c->{watch}{rv} = $e->{rv};
        my $line = $json->encode({ type => $e->{type}, object => $e->{object} }) . "\n";
        if (my $n = delete $self->{cut}) {
            $self->_chunk($c, substr $line, 0, $n);
            return $self->_close($c);
        }
        $self->_chunk($c, $line);
    }
}

sub _watch {
    my ($self, $c, %q) = @_;

    push @{ $self->{log} }, "watch $q{resourceVersion}";
    return if $self->_ordered($c, 'watch');
    return $self->_status($c, 410) if $q{resourceVersion} < $self->{oldest};

    $c->{watch} = { rv => $q{resourceVersion}, until => time + $q{timeoutSeconds} };
    $self->_write($c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    $self->_feed($c);
}

sub _list {
    my ($self, $c, %q) = @_;

    my ($rv, $at) = ($self->{rv}, 0);
    push @{ $self->{log} }, 'list' . ($q{continue} ? " continue=$q{continue}" : '');
    return if $self->_ordered($c, $q{continue} ? 'continue' : 'list');
    if ($q{continue}) { ($rv, $at) = split /-/, $q{continue} }
    my $all = $self->{snapshots}{$rv} //= [ map { $self->{objects}{$_} } sort keys %{ $self->{objects} } ];
    my $end = $at + $q{limit} < @$all ? $at + $q{limit} : @$all;
    my @items = map { my %o = %$_; delete @o{qw(kind apiVersion)}; \%o } @$all[ $at .. $end - 1 ];
    delete $self->{snapshots}{$rv} if $end == @$all;
    $self->_reply($c, 200, { kind => 'PodList', apiVersion => 'v1', items => \@items,
        metadata => { resourceVersion => "$rv", $end < @$all ? (continue => "$rv-$end") : () } });
}

sub _request {
    my ($self, $c, $path, $query) = @_;

    my %q = map { my ($k, $v) = split /=/, $_, 2; $v =~ s/%(..)/chr hex $1/ge; $k => $v } split /&/, $query // '';
    return $self->_status($c, 404) if $path !~ m{/pods$};
    return $q{watch} ? $self->_watch($c, %q) : $self->_list($c, %q);
}

sub _read {
    my ($self, $c) = @_;

    my $n = sysread $c->{s}, $c->{in}, 65536, length $c->{in};
    return $self->_close($c) unless $n;
    while ($c->{in} =~ s{^GET (\S+?)(?:\?(\S*))? HTTP/1.1\r\n.*?\r\n\r\n}{}s) { $self->_request($c, $1, $2) }
}

sub run {
    my ($self, $ctl) = @_;

    $SIG{PIPE} = 'IGNORE';
    while (1) {
        my $select = IO::Select->new($ctl, $self->{lsn} || (), map { $_->{s} } values %{ $self->{conns} });
        for my $s ($select->can_read(0.2)) {
            if ($s == $ctl) {
                my $line = readline $ctl;
                return unless defined $line;
                my ($verb, @a) = @{ $json->decode($line) };
                print {$ctl} $json->encode([ $self->can("order_$verb")->($self, @a) ]), "\n";

            } elsif ($self->{lsn} && $s == $self->{lsn}) {
                my $new = $s->accept or next;
                $self->{conns}{$new} = { s => $new, in => '' };

            } elsif (my $c = $self->{conns}{$s}) {
                $self->_read($c);
            }
        }
        $_->{watch} && !$_->{mute} && time > $_->{watch}{until} and $self->_end($_) for values %{ $self->{conns} };
    }
}

sub main {
    my ($fd, $port) = @_;

    open my $ctl, '+<&=', $fd or die "control socket: $!";
    $ctl->autoflush(1);
    my $self = bless { port => $port, rv => 1000, oldest => 0, objects => {}, history => [], conns => {}, log => [], answers => {} }, __PACKAGE__;
    $self->_listen;
    $self->run($ctl);
}

main(@ARGV) unless caller;

1;
