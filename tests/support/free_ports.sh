# Read by the scripts that start servers for the tests.

# COUNT: held open together, so that no two are the same; below those that the system gives to whoever asks
# for any, who would have them before the server is up that listens there.
free_ports() {
    perl -MIO::Socket::INET -e '
        my ($count, @held) = shift;
        while (@held < $count) {
            my $port = 10240 + int(rand(22000));
            my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", LocalPort => $port);
            push @held, $socket if $socket;
        }
        print join(" ", map { $_->sockport } @held), "\n"' "$1"
}
