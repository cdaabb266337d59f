package MCHost::Reconciler;

# The reconciler, with settings of its own.

use strict;
use warnings;
use MCHost::Http;
use MCHost::Nginx;
use MCHost::Process;
use Time::HiRes qw(sleep time);

sub binary {
    my ($root) = @_;

    return MCHost::Nginx::san() ? "$root/build/san/mchost-reconciler" : "$root/build/mchost-reconciler";
}

# root, dir, admin (port), settings => { name => value }.
sub new {
    my ($class, %o) = @_;

    my $self = bless { %o, log => "$o{dir}/reconciler.log" }, $class;
    $self->configure(%{ $o{settings} });
    return $self;
}

sub configure {
    my ($self, %s) = @_;

    $self->{settings} = { %{ $self->{settings} // {} }, %s };
    my $file = "$self->{dir}/reconciler.conf";
    open my $f, '>', $file or die "$file: $!";
    chmod 0600, $file;
    my $all = $self->{settings};
    print $f map { defined $all->{$_} ? qq($_ "$all->{$_}";\n) : () } sort keys %$all;
    close $f or die "$file: $!";
}

sub env {
    my ($self) = @_;

    return {} unless MCHost::Nginx::san();
    return { ASAN_OPTIONS => "log_path=$self->{dir}/san/reconciler:detect_leaks=1",
        UBSAN_OPTIONS => "print_stacktrace=1:log_path=$self->{dir}/san/reconciler" };
}

# Runs it with arguments to its end: (exit status, what it said).
sub run {
    my ($self, @args) = @_;

    my $out = "$self->{dir}/reconciler-run." . ++$self->{runs};
    my $p = $self->run_async($out, @args);
    my $status = $p->wait(60) // die "the reconciler hangs: @args\n";
    my $said = MCHost::Nginx::_slurp($out);
    return (($status >> 8) || ($status & 127), $said);
}

sub run_async {
    my ($self, $out, @args) = @_;

    unlink $out;
    return MCHost::Process->spawn(name => 'reconciler', cmd => [ binary($self->{root}), '-c', "$self->{dir}/reconciler.conf", @args ],
        log => $out, env => $self->env);
}

# wait => 0: do not wait until it is ready.
sub start {
    my ($self, %o) = @_;

    my $bin = binary($self->{root});
    -x $bin or die "$bin is not built\n";
    $self->{proc} = MCHost::Process->spawn(name => 'reconciler', cmd => [ $bin, '-c', "$self->{dir}/reconciler.conf" ],
        log => $self->{log}, env => $self->env);
    return if defined $o{wait} && !$o{wait};

    my $end = time + 30;

    until (($self->admin('/readyz')) == 200) {
        die "the reconciler does not get ready:\n" . $self->tail if time > $end || !$self->{proc}->alive;
        sleep 0.02;
    }
}

# GET on the admin port: status, or (status, body).
sub admin {
    my ($self, $path) = @_;

    my $r = eval { MCHost::Http::request($self->{admin}, GET => $path) };
    my $status = $r ? $r->status : 0;
    return wantarray ? ($status, $r ? $r->body : '') : $status;
}

sub tail {
    my ($self) = @_;

    open my $f, '<', $self->{log} or return '';
    my @lines = <$f>;
    return join '', @lines > 20 ? @lines[ -20 .. -1 ] : @lines;
}

sub stop  { my ($self) = @_; return !$self->{proc} || $self->{proc}->stop('TERM', 25) }
sub kill9 { my ($self) = @_; $self->{proc}->kill9 if $self->{proc} }
sub pid   { $_[0]{proc}->pid }

sub complaints {
    my ($self) = @_;

    my @bad;

    for my $file ($self->{log}, glob "$self->{dir}/san/reconciler*") {
        open my $f, '<', $file or next;
        while (my $line = readline $f) { push @bad, $line if $line =~ /Sanitizer|runtime error/ }
    }

    return @bad;
}

1;
