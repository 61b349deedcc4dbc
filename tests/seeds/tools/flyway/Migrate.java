import java.util.Scanner;
import org.flywaydb.core.Flyway;

/** Run Flyway for each line of the input: URL, user, password and folder, separated by tabs. The answer is "ok" or an error. */
public class Migrate {
    public static void main(String[] arguments) {
        var lines = new Scanner(System.in);
        while (lines.hasNextLine()) {
            var words = lines.nextLine().split("\t");
            try {
                Flyway.configure().dataSource(words[0], words[1], words[2]).locations("filesystem:" + words[3]).load().migrate();
                System.out.println("ok");
            } catch (Exception error) {
                System.out.println("error " + error.getMessage().replaceAll("\\s+", " "));
            }
            System.out.flush();
        }
    }
}
