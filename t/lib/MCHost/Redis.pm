package MCHost::Redis;

# A private Redis on a Unix socket, and a client for it.

use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use MCHost::Process;
use Time::HiRes qw(sleep time);

use constant PASSWORD => { admin => 'admin-pw', nginx => 'redis-nginx-pw', reconciler => 'redis-reconciler-pw' };

# The users of conf/redis.conf with passwords of ours, and one for the test.
sub acl {
    my ($root) = @_;

    my $pw = PASSWORD;
    my $conf = do { local (@ARGV, $/) = "$root/conf/redis.conf"; <> };
    my $acl = "user admin on >$pw->{admin} ~* &* +\@all\n";

    for ($conf =~ /^(user .*)$/mg) {
        my ($line, $user) = ($_, /^user (\S+)/);
        $line =~ s/#0{64}/>$pw->{$user}/;
        $acl .= "$line\n";
    }

    return $acl;
}

sub new {
    my ($class, $root, $dir, %o) = @_;

    my $self = bless { root => $root, dir => $dir, path => "$dir/redis.sock", port => $o{port} // 0, %o }, $class;
    $self->start;
    return $self;
}

sub path { $_[0]{path} }

sub start {
    my ($self) = @_;

    my $dir = $self->{dir};
    _write("$dir/users.acl", acl($self->{root}));
    _write("$dir/redis.conf", <<"EOT");
port $self->{port}
bind 127.0.0.1
unixsocket $self->{path}
unixsocketperm 777
dir $dir
save ""
appendonly no
aclfile $dir/users.acl
databases 1
EOT
    unlink $self->{path};
    $self->{proc} = MCHost::Process->spawn(name => 'redis', cmd => ['redis-server', "$dir/redis.conf"], log => "$dir/redis.log");

    my $end = time + 10;

    until ($self->{proc}->alive && -S $self->{path} && eval { ($self->call('PING') // '') eq 'PONG' }) {
        die "Redis does not start; see $dir/redis.log\n" if time > $end;
        delete $self->{client};
        sleep 0.01;
    }
}

sub stop {
    my ($self) = @_;

    delete $self->{client};
    $self->{proc}->stop('TERM') if $self->{proc};
}

sub restart { my ($self) = @_; $self->stop; $self->start }

# A connection of its own as the named user.
sub client {
    my ($self, $user) = @_;

    my $c = MCHost::Redis::Client->new($self->{path});
    $c->call('AUTH', $user // 'admin', PASSWORD->{ $user // 'admin' });
    return $c;
}

sub call { my ($self, @cmd) = @_; $self->{client} //= $self->client; return $self->{client}->call(@cmd) }

sub _write {
    my ($file, $text) = @_;

    open my $f, '>', $file or die "$file: $!";
    chmod 0600, $file;
    print $f $text;
    close $f or die "$file: $!";
}


package MCHost::Redis::Client;

sub new {
    my ($class, $path) = @_;

    my $s = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!\n";
    return bless { s => $s, in => '' }, $class;
}

sub send {
    my ($self, @cmd) = @_;

    local $SIG{PIPE} = 'IGNORE';
    my $bytes = '*' . @cmd . "\r\n" . join '', map { '$' . length($_) . "\r\n$_\r\n" } @cmd;
    syswrite $self->{s}, $bytes;
}

# Strings, numbers, lists; undef for nil; dies for an error reply.
sub call { my ($self, @cmd) = @_; $self->send(@cmd); return $self->recv }

sub recv {
    my ($self, $timeout) = @_;

    my $end = Time::HiRes::time() + ($timeout // 10);
    my $line = $self->_line($end);
    my $type = substr $line, 0, 1, '';

    die "$line\n" if $type eq '-';
    return $line if $type eq '+' || $type eq ':';
    return $line < 0 ? undef : $self->_bytes($line, $end) if $type eq '$';
    return $line < 0 ? undef : [ map { $self->recv($timeout) } 1 .. $line ] if $type eq '*';
    die "not understood: $type$line\n";
}

# The next pub/sub message as [channel, text].
sub message {
    my ($self, $timeout) = @_;

    while (1) {
        my $m = $self->recv($timeout);
        return [ @$m[-2, -1] ] if ref $m && $m->[0] =~ /^p?message$/;
    }
}

sub _fill {
    my ($self, $end) = @_;

    my $left = $end - Time::HiRes::time();
    die "Redis does not answer\n" if $left <= 0 || !IO::Select->new($self->{s})->can_read($left);
    sysread($self->{s}, $self->{in}, 65536, length $self->{in}) or die "Redis closed the connection\n";
}

sub _line {
    my ($self, $end) = @_;

    $self->_fill($end) while $self->{in} !~ /\r\n/;
    $self->{in} =~ s/^(.*?)\r\n//s;
    return $1;
}

sub _bytes {
    my ($self, $n, $end) = @_;

    $self->_fill($end) while length $self->{in} < $n + 2;
    my $v = substr $self->{in}, 0, $n, '';
    substr($self->{in}, 0, 2) = '';
    return $v;
}

1;
