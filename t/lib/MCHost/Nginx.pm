package MCHost::Nginx;

# An nginx with the module: Debian's with the dynamic one, or with
# MCHOST_SAN=1 the sanitized one that has it linked in.

use strict;
use warnings;
use IO::Socket::INET;
use MCHost::Process;
use Time::HiRes qw(sleep time);

sub san { return $ENV{MCHOST_SAN} ? 1 : 0 }

sub binary {
    my ($root) = @_;

    return san() ? "$root/build/nginx-asan/nginx" : '/usr/sbin/nginx';
}

sub env {
    my ($dir) = @_;

    return {} unless san();

    # nginx keeps memory of its start-up reachable from nowhere: leaks there
    # are not ours (t/lib/lsan.supp says which and why).
    (my $supp = __FILE__) =~ s{MCHost/Nginx\.pm$}{lsan.supp};
    return { ASAN_OPTIONS => "log_path=$dir/san/nginx:detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1",
        UBSAN_OPTIONS => "print_stacktrace=1:log_path=$dir/san/nginx",
        LSAN_OPTIONS => "suppressions=$supp:print_suppressions=0" };
}

# root, dir, port, and vars: what %NAME% in the template stands for.
sub new {
    my ($class, %o) = @_;

    my $self = bless { %o, log => "$o{dir}/error.log" }, $class;
    mkdir "$o{dir}/san";
    chmod 01777, "$o{dir}/san";
    $self->configure($o{template}, %{ $o{vars} });
    return $self;
}

sub text {
    my ($self, $template, %vars) = @_;

    my %v = (DIR => $self->{dir}, PORT => $self->{port}, ROOT => $self->{root},
        LOAD => san() ? '' : "load_module $self->{root}/build/ngx_http_mchost_module.so;",
        USER => $> == 0 ? 'user www-data;' : '', %vars);
    my $text = $template;
    1 while $text =~ s/%([A-Z_0-9]+)%/$v{$1} \/\/ die "no value for %$1%\n"/ge;
    return $text;
}

sub configure {
    my ($self, $template, %vars) = @_;

    ($self->{template}, $self->{vars}) = ($template, \%vars);
    my $file = "$self->{dir}/nginx.conf";
    open my $f, '>', $file or die "$file: $!";
    chmod 0600, $file;
    print $f $self->text($template, %vars);
    close $f or die "$file: $!";
}

# nginx -t: (exit status 0..255, what it said).
sub test_config {
    my ($self) = @_;

    my $out = "$self->{dir}/nginx-t.out";
    unlink $out;
    my $p = MCHost::Process->spawn(name => 'nginx -t', log => $out, env => { %{ env($self->{dir}) }, $self->_no_leaks },
        cmd => [ binary($self->{root}), '-t', '-p', $self->{dir}, '-c', "$self->{dir}/nginx.conf", '-e', "$self->{dir}/error-t.log" ]);
    my $status = $p->wait(60) // die "nginx -t hangs\n";
    my $said = _slurp($out);
    return (($status >> 8) || ($status & 127), $said);
}

# nginx -t ends without freeing anything.
sub _no_leaks { return ASAN_OPTIONS => 'detect_leaks=0' }

sub start {
    my ($self) = @_;

    my $bin = binary($self->{root});
    -x $bin or die "$bin is not built\n";
    $self->{proc} = MCHost::Process->spawn(name => 'nginx', log => "$self->{dir}/nginx.out", env => env($self->{dir}),
        cmd => [ $bin, '-p', $self->{dir}, '-c', "$self->{dir}/nginx.conf", '-e', $self->{log}, '-g', 'daemon off;' ]);
    my $end = time + 30;

    until (IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{port}")) {
        die "nginx does not start:\n" . $self->tail if time > $end || !$self->{proc}->alive;
        sleep 0.01;
    }
}

sub _slurp {
    my ($file) = @_;

    open my $f, '<', $file or return '';
    local $/;
    return readline($f) // '';
}

sub tail {
    my ($self) = @_;

    my $text = '';

    for my $file ("$self->{dir}/nginx.out", $self->{log}) {
        my @lines = split /^/, _slurp($file);
        $text .= join '', @lines > 20 ? @lines[ -20 .. -1 ] : @lines;
    }

    return $text;
}

# Pids of the workers that serve: not of those that are shutting down.
sub workers {
    my ($self, $any) = @_;

    my $master = $self->{proc}->pid;
    my @pids;

    for my $stat (glob '/proc/[0-9]*/stat') {
        open my $f, '<', $stat or next;
        my ($pid, $ppid) = (readline($f) // '') =~ /^(\d+) \(.*\) \S (\d+)/ or next;
        next unless $ppid == $master;
        open my $c, '<', "/proc/$pid/cmdline" or next;
        my $cmd = readline($c) // '';
        push @pids, $pid if $cmd =~ /worker process/ && ($any || $cmd !~ /shutting down/);
    }

    @pids = sort { $a <=> $b } @pids;
    return @pids;
}

# Reloads and returns once new workers serve.
sub reload {
    my ($self) = @_;

    my %old = map { $_ => 1 } $self->workers(1);
    my $n = $self->{vars}{WORKERS} // 1;
    $self->{proc}->signal('HUP');
    my $end = time + 20;

    until (grep({ !$old{$_} } $self->workers) >= $n) {
        die "no new workers after a reload:\n" . $self->tail if time > $end;
        sleep 0.02;
    }
}

# Graceful end; false when it had to be killed.
sub stop {
    my ($self, $sig) = @_;

    return 1 unless $self->{proc};
    my $ok = $self->{proc}->stop($sig // 'QUIT', 20);
    return $ok;
}

# Lines that no test may cause, but for those that match what is allowed.
sub complaints {
    my ($self, @allow) = @_;

    my @bad;

    for my $file ($self->{log}, "$self->{dir}/nginx.out", "$self->{dir}/error-t.log", glob "$self->{dir}/san/*") {
        open my $f, '<', $file or next;
        my $san = $file =~ m{/san/};

        while (my $line = readline $f) {
            chomp $line;
            next unless $san || $line =~ /\[(alert|emerg)\]|Sanitizer|runtime error/;
            next if $file =~ /error-t\.log$/ && $line =~ /\[emerg\]/;
            push @bad, $line unless grep { $line =~ $_ } @allow;
        }
    }

    return @bad;
}

1;
