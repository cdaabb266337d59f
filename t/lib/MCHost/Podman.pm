package MCHost::Podman;

# The Podman service of the tests, behind a fault proxy. One test at a time
# has it: the others wait for the lock.

use strict;
use warnings;
use Fcntl qw(:flock);
use File::Path qw(make_path);
use JSON::PP ();
use MCHost::Proxy;

sub new {
    my ($class, $root, $dir) = @_;

    make_path("$root/build/t");
    open my $lock, '>', "$root/build/t/podman.lock" or die "$root/build/t/podman.lock: $!";
    flock $lock, LOCK_EX;

    my $self = bless { root => $root, lock => $lock, tool => "$root/t/lib/podman" }, $class;
    chomp(my $real = $self->_tool('up'));
    $self->{real} = $real;
    $self->{proxy} = MCHost::Proxy->new(listen => "$dir/podman.sock", to => $real);
    $self->{socket} = "$dir/podman.sock";
    return $self;
}

sub socket { $_[0]{socket} }
sub proxy  { $_[0]{proxy} }
sub image  { 'localhost/mchost-demo:latest' }

sub _tool {
    my ($self, @args) = @_;

    open my $p, '-|', $self->{tool}, @args or die "$self->{tool}: $!";
    local $/;
    my $out = readline($p) // '';
    CORE::close($p) or die "t/lib/podman @args failed\n";
    return $out;
}

# podman ARGS…: its output; dies when it fails.
sub podman { my ($self, @args) = @_; return $self->_tool(@args) }

# podman inspect as data; undef when there is no such thing.
sub inspect {
    my ($self, $kind, $name) = @_;

    open my $stderr, '>&', \*STDERR or die "dup: $!";
    open STDERR, '>', '/dev/null';
    my $json = eval { $self->_tool($kind, 'inspect', $name) };
    open STDERR, '>&', $stderr;
    return undef unless defined $json;

    my $v = JSON::PP->new->utf8->decode($json);
    return ref $v eq 'ARRAY' ? $v->[0] : $v;
}

# Names of what is there: pods, volumes, secrets; containers without the
# pause ones ("running" only those that run).
sub names {
    my ($self, $kind) = @_;

    my %cmd = (pods => [ 'pod', 'ps', '--format', '{{.Name}}' ], volumes => [ 'volume', 'ls', '-q' ],
        secrets => [ 'secret', 'ls', '--format', '{{.Name}}' ], containers => [ 'ps', '-a', '--format', '{{.Names}}' ],
        running => [ 'ps', '--format', '{{.Names}}' ]);
    return sort grep { length && !/-infra$/ && $_ ne 'NAME' } split /\s+/, $self->_tool(@{ $cmd{$kind} });
}

sub close {
    my ($self) = @_;

    $self->{proxy}->stop;
    $self->_tool('down');
    CORE::close($self->{lock});
}

1;
